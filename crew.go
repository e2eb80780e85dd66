package repeater

import "sync"

// crew does for a lane what takes time, in goroutines that stay for the next job: a fresh
// one would grow its stack again for each attempt.
type crew struct {
	wg   *sync.WaitGroup
	jobs chan func()
}

func newCrew(wg *sync.WaitGroup) crew { return crew{wg, make(chan func())} }

// do has a goroutine that is free, or a new one, do a job.
func (c crew) do(job func()) {
	select {
	case c.jobs <- job:
		return
	default:
	}
	c.wg.Go(func() {
		job()
		for job := range c.jobs {
			job()
		}
	})
}

// dismiss ends the goroutines as they become free. Nothing is done after it.
func (c crew) dismiss() { close(c.jobs) }
