package repeater

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/webhook-repeater/repeater/internal/admin"
)

// failedTooOften is how many attempts in a row make it worth telling that none succeeds.
const failedTooOften = 5

// adminLanesMax is of how many lanes the age is asked in one step.
const adminLanesMax = 500

func (s *adminSource) Lanes(ctx context.Context) ([]admin.Lane, error) {
	if err := s.r.usable(); err != nil {
		return nil, s.told(err)
	}
	infos := make(map[string]LaneInfo)
	for name := range s.cfg().lanes {
		infos[name] = LaneInfo{Name: name}
	}
	if err := eachLane(ctx, s.r.queue, func(info LaneInfo) { infos[info.Name] = info }); err != nil {
		return nil, s.told(err)
	}
	all := slices.SortedFunc(maps.Values(infos), func(a, b LaneInfo) int { return cmp.Compare(a.Name, b.Name) })
	ages, err := s.ages(ctx, all)
	if err != nil {
		return nil, s.told(err)
	}
	lanes := make([]admin.Lane, len(all))
	for i, info := range all {
		lanes[i] = s.lane(info, ages[i])
	}
	return lanes, s.told(nil)
}

// ages are those of what waits longest, 0 where the store cannot tell.
func (s *adminSource) ages(ctx context.Context, infos []LaneInfo) ([]time.Duration, error) {
	ages := make([]time.Duration, len(infos))
	if s.inspect == nil {
		return ages, nil
	}
	var which []int
	for i := range infos {
		if infos[i].Waiting > 0 {
			which = append(which, i)
		}
	}
	for page := range slices.Chunk(which, adminLanesMax) {
		names := make([]string, len(page))
		for i, n := range page {
			names[i] = infos[n].Name
		}
		told, err := s.inspect.Oldest(ctx, names)
		if err != nil {
			return nil, err
		}
		for i, age := range told {
			ages[page[i]] = age
		}
	}
	return ages, nil
}

func (s *adminSource) Lane(ctx context.Context, name string) (admin.Lane, error) {
	info, err := s.info(ctx, name)
	if err != nil {
		return admin.Lane{}, s.told(err)
	}
	ages, err := s.ages(ctx, []LaneInfo{info})
	if err != nil {
		return admin.Lane{}, s.told(err)
	}
	l := s.lane(info, ages[0])
	if err := s.headDue(ctx, &l); err != nil {
		return admin.Lane{}, s.told(err)
	}
	return l, s.told(nil)
}

// headDue finds when a lane goes on in which everything waits for a time of its own.
func (s *adminSource) headDue(ctx context.Context, l *admin.Lane) error {
	if s.inspect == nil || l.Waiting == 0 || l.NextAttempt != nil || l.State == admin.Paused {
		return nil
	}
	head, _, err := s.inspect.Waiting(ctx, l.Name, "", 1)
	if err != nil || len(head) == 0 || head[0].Due == 0 {
		return err
	}
	l.NextAttempt = s.in(head[0].Due)
	if l.State == admin.Well {
		l.Why = "The destination is well."
	}
	l.Why += fmt.Sprintf(" What waits is tried again by itself, in %s at the earliest.", roughly(head[0].Due))
	return nil
}

// info returns a lane as the store lists it; one that only has a route is empty.
func (s *adminSource) info(ctx context.Context, name string) (LaneInfo, error) {
	if err := s.r.usable(); err != nil {
		return LaneInfo{}, err
	}
	if name == "" {
		return LaneInfo{}, ErrNotFound
	}
	for after := name[:len(name)-1]; ; {
		page, err := s.r.queue.Lanes(ctx, after, lanesPerPage)
		if err != nil {
			return LaneInfo{}, err
		}
		for _, info := range page {
			if info.Name == name {
				return info, nil
			}
		}
		if len(page) < lanesPerPage || page[len(page)-1].Name > name {
			break
		}
		after = page[len(page)-1].Name
	}
	if _, ok := s.cfg().lanes[name]; !ok {
		return LaneInfo{}, ErrNotFound
	}
	return LaneInfo{Name: name}, nil
}

func (s *adminSource) lane(info LaneInfo, oldest time.Duration) admin.Lane {
	set, seen := s.cfg().lane(info.Name), s.r.seen.of(info.Name)
	l := admin.Lane{
		Name: info.Name, Routes: s.routesOf(info.Name),
		Waiting: info.Waiting, Parked: info.Parked, Bytes: info.Bytes, Dead: info.Dead,
		Failures: info.Failures, Refusals: max(0, info.Refusals), Held: info.Held, OldestAge: oldest.Seconds(),
		Concurrency: set.concurrency, Strict: set.strict, Pace: set.pace.Seconds(),
	}
	l.AcceptedPerSecond, l.DeliveredPerSecond, l.Depth = seen.series()
	failure, at := seen.lastFailure()
	if failure != "" {
		l.LastError, l.LastErrorAt = failure, &at
	}
	l.State = stateOf(info, seen)
	if info.Wait > 0 && !info.Paused {
		l.NextAttempt = s.in(info.Wait)
	}
	l.Why = s.why(info, &l)
	return l
}

func stateOf(info LaneInfo, seen *laneSeen) admin.State {
	switch {
	case info.Paused:
		return admin.Paused
	case info.Failures > 0 && info.Refusals >= refusedTooOften-1:
		return admin.Refusing
	case info.Failures > 0:
		return admin.Unwell
	case info.Waiting > 0 && seen.failed.Load() >= failedTooOften:
		return admin.Failing
	case info.Waiting > 0 && seen.behind.Load():
		return admin.Behind
	}
	return admin.Well
}

func (s *adminSource) in(d time.Duration) *time.Time {
	t := s.cfg().clock().Add(d).UTC().Truncate(time.Millisecond)
	return &t
}

func (s *adminSource) routesOf(lane string) []string {
	var names []string
	for _, rt := range s.cfg().routes {
		if slices.ContainsFunc(rt.dests, func(d destination) bool { return d.lane == lane }) {
			names = append(names, rt.name)
		}
	}
	return names
}
