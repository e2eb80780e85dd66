// Package crashtest holds nothing but tests: they run the real program, kill it
// and what it depends on at random moments, and prove that nothing it
// acknowledged is ever lost. Who sends, receives and judges is in package witness;
// package torture does the same for longer, with more kinds of faults.
//
// What SIGKILL leaves behind is what the kernel has been given. That it also has
// been synced, which only a power loss would tell, is not proved here.
package crashtest
