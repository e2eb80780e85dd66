package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/webhook-repeater/repeater/internal/client"
	"github.com/webhook-repeater/repeater/internal/config"
)

const defaultAdmin = "http://127.0.0.1:8101"

// connection says which server is meant, and who asks.
type connection struct {
	server, config, tokenFile string

	configGiven bool
}

func (c *connection) flags(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&c.server, "server", "", "admin `URL` of the server (default: REPEATER_ADMIN, else what [admin] in config.ini says, else "+defaultAdmin+")")
	fl.StringVar(&c.tokenFile, "token-file", "", "`FILE` with the server's token (default: REPEATER_TOKEN, else what [admin] in config.ini says)")
	fl.StringVarP(&c.config, "config", "c", "", "`FILE` with the server's configuration (default ./config.ini, if there is one)")
	_ = cmd.MarkFlagFilename("token-file")
	_ = cmd.MarkFlagFilename("config", "ini")
}

// file is the configuration that there is, or "".
func (c *connection) file() string {
	if c.config != "" {
		c.configGiven = true
		return c.config
	}
	if _, err := os.Stat(defaultConfig); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return defaultConfig
	}
	return ""
}

// dial finds the server, without asking it anything.
func (c *connection) dial() (*client.Client, error) {
	file := c.file()
	base, from := c.server, "--server"
	if base == "" && !c.configGiven {
		base, from = os.Getenv("REPEATER_ADMIN"), "REPEATER_ADMIN"
	}
	// A token goes to the server whose it is: that of the same file, or of a file that was named.
	ofFile := c.configGiven || base == ""
	if base == "" {
		var err error
		if base, err = adminAddress(file); err != nil {
			return nil, err
		}
	}
	token, err := c.token(file, ofFile)
	if err != nil {
		return nil, err
	}
	cl, err := client.New(base, token)
	if err != nil {
		return nil, misused("%s %v", from, err)
	}
	return cl, nil
}

func (c *connection) token(file string, ofFile bool) (string, error) {
	if c.tokenFile != "" {
		text, err := os.ReadFile(c.tokenFile) // #nosec G304 -- the user names the file
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		token := strings.TrimSpace(string(text))
		switch {
		case err != nil:
			return "", misused("--token-file %s: %v", c.tokenFile, err)
		case token == "":
			return "", misused("--token-file %s is empty", c.tokenFile)
		}
		return token, checkToken(token, "--token-file "+c.tokenFile)
	}
	if token := strings.TrimSpace(os.Getenv("REPEATER_TOKEN")); token != "" {
		return token, checkToken(token, "REPEATER_TOKEN")
	}
	if file == "" || !ofFile {
		return "", nil
	}
	s, _, err := config.LoadKeys(file, "admin", "token")
	if err != nil {
		return "", fileMistake{err}
	}
	return s.AdminToken, nil
}

// checkToken keeps from a header what cannot stand in one.
func checkToken(token, from string) error {
	if strings.ContainsFunc(token, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return misused("%s holds more than one line", from)
	}
	return nil
}

// fileMistake is one in a configuration; its text says where.
type fileMistake struct{ error }

// adminAddress is where the server of a file lets its operator in.
func adminAddress(file string) (string, error) {
	if file == "" {
		return defaultAdmin, nil
	}
	s, _, err := config.LoadKeys(file, "admin", "listen")
	if err != nil {
		return "", fileMistake{err}
	}
	if s.AdminListen == "" {
		return "", fmt.Errorf("%s has listen = off under [admin], so that its server cannot be asked; change that, or name another server with --server", file)
	}
	host, port, err := net.SplitHostPort(s.AdminListen)
	if err != nil || port == "0" {
		return "", fmt.Errorf("%s lets the server choose the port of its admin address; take it from the server's log, and name it with --server", file)
	}
	return "http://" + net.JoinHostPort(reachable(host), port), nil
}

// reachable is an address of this machine where a server listens on all of them.
func reachable(host string) string {
	a, err := netip.ParseAddr(host)
	switch {
	case host == "":
		return "127.0.0.1"
	case err != nil || !a.IsUnspecified():
		return host
	case a.Is4():
		return "127.0.0.1"
	}
	return "::1"
}
