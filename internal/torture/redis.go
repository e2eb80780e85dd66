//go:build linux

package main

import (
	"net"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/webhook-repeater/repeater"
	"github.com/webhook-repeater/repeater/internal/redistest"
)

// useRedis keeps the store in a server, which is reached at addr.
func (s *scene) useRedis(addr string, server *redistest.Server) {
	s.store, s.opt = "redis_url = redis://"+addr+"/0\n", repeater.WithRedis(server.Client(s))
}

// startRedis starts a server that has every write on disk before it answers.
func (s *scene) startRedis(args ...string) *redistest.Server {
	return redistest.Start(s, append([]string{"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}, args...)...)
}

// redisKill kills Redis and the program in turns, sometimes both.
func redisKill(s *scene) {
	server := s.startRedis()
	s.useRedis(server.Addr(), server)
	s.begin(1, 0)
	n := s.nodes[0]
	s.each(func() {
		s.sleep(400)
		both := s.rnd.IntN(6) == 0
		program := both || s.rnd.IntN(3) == 0
		if program {
			s.kill(n)
		}
		healed := time.Now()
		if both || !program {
			server.Kill()
			s.sleep(500)
			healed = time.Now()
			server.Restart()
		}
		if program {
			s.start(n)
		}
		s.serving(healed)
		if program && s.rnd.IntN(5) == 0 {
			s.moving(healed) // once the dead one's claim is over
		}
	})
	s.end()
}

// redisPause lets Redis answer nobody for a while, by its own command or by a signal.
func redisPause(s *scene) {
	server := s.startRedis()
	s.useRedis(server.Addr(), server)
	s.begin(1, 0)
	node := server.Node(s)
	s.each(func() {
		s.sleep(300)
		switch s.rnd.IntN(3) {
		case 0:
			mode := []string{"WRITE", "ALL"}[s.rnd.IntN(2)]
			if err := node.Do(s.ctx, "CLIENT", "PAUSE", 100+s.rnd.IntN(1500), mode).Err(); err != nil && s.ctx.Err() == nil {
				s.Fatal(err)
			}
		case 1:
			server.Pause()
			s.sleep(3500) // longer than a push may take
			server.Continue()
		default: // a death that nobody is told of: connections stay, and lead nowhere
			server.Pause()
			s.sleep(500)
			server.Kill()
			server.Restart()
		}
		s.alive(s.nodes[0])
		s.serving(time.Now())
	})
	s.end()
}

// redisProxy loses answers of commands that went through, breaks connections, and lets them stall.
func redisProxy(s *scene) {
	server := s.startRedis()
	p := newProxy(s, server.Addr())
	s.useRedis(p.addr, server)
	s.begin(1, 0)
	s.each(func() {
		s.sleep(200)
		switch s.rnd.IntN(5) {
		case 0:
			p.lose.Store(1 + s.rnd.Int64N(20))
		case 1:
			p.halve.Store(1 + s.rnd.Int64N(8))
		case 2:
			p.reset()
		case 3:
			p.stall(time.Duration(s.rnd.IntN(2500)) * time.Millisecond)
		default: // one after the other, as a network does that is about to fail
			for range 1 + s.rnd.IntN(10) {
				p.lose.Store(s.rnd.Int64N(3))
				s.sleep(30)
				p.reset()
			}
		}
		s.sleep(150)
		s.alive(s.nodes[0])
		p.lose.Store(0)
		p.halve.Store(0)
		s.serving(time.Now())
	})
	s.end()
}

// redisFailover makes a replica the primary, after the death of the other or while that
// lives on. A 200 waits for the replica.
func redisFailover(s *scene) {
	primary := s.startRedis()
	replica := s.startRedis()
	s.follow(replica, primary)
	p := newProxy(s, primary.Addr())
	s.useRedis(p.addr, primary)
	s.store += "redis_wait = 1\nredis_wait_timeout = 500ms\n"
	for _, l := range s.lanes {
		l.dest.Ledger.Forgetful = true // only what is accepted waits for replicas
	}
	s.begin(1, 0)
	s.each(func() {
		s.sleep(400)
		healed := time.Now()
		switch fault := s.rnd.IntN(5); fault {
		case 0: // the replica dies: nothing can be stored safely
			replica.Kill()
			s.refused(3 * time.Second)
			s.sleep(300)
			healed = time.Now()
			replica.Restart()
			s.follow(replica, primary)
		default:
			switch fault {
			case 1, 2:
				primary.Kill()
			case 3:
				primary.Pause()
			}
			s.promote(replica)
			p.lead(replica.Addr())
			if fault != 4 { // else some go on with the old primary for a while
				p.reset()
			}
			s.sleep(300)
			switch fault {
			case 1, 2:
				primary.Restart()
			case 3:
				primary.Continue()
			}
			primary, replica = replica, primary
			s.follow(replica, primary)
			p.reset()
		}
		s.alive(s.nodes[0])
		s.serving(healed)
	})
	s.opt = repeater.WithRedis(primary.Client(s))
	s.end()
}

func (s *scene) promote(r *redistest.Server) {
	if err := r.Node(s).Do(s.ctx, "REPLICAOF", "NO", "ONE").Err(); err != nil && s.ctx.Err() == nil {
		s.Fatalf("promote a replica: %v", err)
	}
}

// follow returns when the replica is in step.
func (s *scene) follow(replica, primary *redistest.Server) {
	s.Helper()
	node, above := replica.Node(s), primary.Node(s)
	host, port, err := net.SplitHostPort(primary.Addr())
	if err != nil {
		s.Fatal(err)
	}
	if err := node.Do(s.ctx, "REPLICAOF", host, port).Err(); err != nil && s.ctx.Err() == nil {
		s.Fatalf("follow: %v", err)
	}
	for began := time.Now(); !inStep(s, above) && s.ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > patience {
			s.Fatalf("the replica is not in step after %v", patience)
		}
	}
}

func inStep(s *scene, primary *redis.Client) bool {
	// A write of our own that the replica confirms says so.
	pipe := primary.Pipeline()
	pipe.Set(s.ctx, "torture", "", 0)
	n := pipe.Do(s.ctx, "WAIT", 1, 100)
	_, _ = pipe.Exec(s.ctx)
	got, err := n.Int()
	return err == nil && got == 1
}

// redisShare lets three processes share a Redis, of which some are killed, and some stopped, now and then
// for longer than a claim lives: what they settle late must change nothing.
func redisShare(s *scene) {
	server := s.startRedis()
	s.useRedis(server.Addr(), server)
	s.begin(3, time.Second)
	s.each(func() {
		s.sleep(400)
		n := s.nodes[s.rnd.IntN(len(s.nodes))]
		lost := time.Now()
		switch {
		case s.played%10 == 0:
			s.alive(n)
			n.Signal(s, syscall.SIGSTOP)
			s.moving(lost)
			time.Sleep(time.Until(lost.Add(claimTTL + time.Second)))
			n.Signal(s, syscall.SIGCONT)
		case s.played%10 == 5:
			s.kill(n)
			s.moving(lost)
			s.start(n)
		case s.rnd.IntN(2) == 0:
			s.alive(n)
			n.Signal(s, syscall.SIGSTOP)
			s.sleep(1500)
			n.Signal(s, syscall.SIGCONT)
		default:
			s.kill(n)
			s.sleep(300)
			s.start(n)
		}
	})
	for _, n := range s.nodes {
		s.awaitAnswer(n)
	}
	s.end()
}
