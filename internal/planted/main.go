// Planted puts known bugs into the program, one at a time, and expects a test to notice each: tests that
// cannot fail prove nothing.
//
//	go run ./internal/planted                    all of them
//	go run ./internal/planted -only redirects    those whose name has this in it
//	go run ./internal/planted -list
//
// The tree itself is left alone: the go tool gets the changed files by -overlay. It ends
// with status 1 if a bug goes unnoticed, or no longer finds its place.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() { os.Exit(run()) }

func run() int {
	only := flag.String("only", "", "bugs with this in their name")
	list := flag.Bool("list", false, "print them as a table, and do nothing")
	bare := flag.Bool("bare", false, "do not run the tests without bugs first")
	flag.Parse()
	some := chosen(*only)
	if *list {
		for _, b := range some {
			fmt.Println(b.row())
		}
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	module, err := moduleDir()
	if err == nil && !*bare {
		began := time.Now()
		err = healthy(ctx, module, some)
		fmt.Printf("%6.1f s  without any bug\n", time.Since(began).Seconds())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "planted:", err)
		return 1
	}
	return plantAll(ctx, module, some)
}

// chosen are the bugs with a word in their name, or the one that has that name.
func chosen(only string) []bug {
	var some []bug
	for _, b := range bugs {
		if b.name == only {
			return []bug{b}
		}
		if strings.Contains(b.name, only) {
			some = append(some, b)
		}
	}
	return some
}

func plantAll(ctx context.Context, module string, some []bug) int {
	unnoticed := 0
	for _, b := range some {
		began := time.Now()
		err := b.caught(ctx, module)
		fmt.Printf("%6.1f s  %s: ", time.Since(began).Seconds(), b.name)
		if err != nil {
			unnoticed++
			fmt.Println("UNNOTICED:", err)
			continue
		}
		fmt.Println("noticed by", b.run)
	}
	fmt.Printf("%d bugs, %d unnoticed\n", len(some), unnoticed)
	if unnoticed > 0 {
		return 1
	}
	return 0
}

// row is the bug's row of the table in docs/proofs.md, where a bar ends a cell.
func (b *bug) row() string {
	test := fmt.Sprintf("go test -run '%s' %s", anchored(b.run), b.pkg)
	return fmt.Sprintf("| %d | %s | `%s` |", b.promise, b.name, strings.ReplaceAll(test, "|", `\|`))
}
