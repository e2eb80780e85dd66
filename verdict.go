package repeater

import (
	"net/http"
)

// Verdict says what the end of an attempt means for its message and for its lane.
type Verdict uint8

const (
	// VerdictDefault leaves it to the built-in table, which the other comments give.
	VerdictDefault Verdict = iota
	// VerdictDelivered: the destination has the message. Any 2xx.
	VerdictDelivered
	// VerdictUnwell: the destination cannot take anything now. The whole lane pauses, with this
	// message in its place. No answer (connection, DNS, TLS, timeout), 408, 425, 429, 502, 503
	// and 504.
	VerdictUnwell
	// VerdictFailed: the destination fails on this message. It is tried again on a schedule of
	// its own while the lane goes on (a [Strict] lane waits with it). All other 5xx.
	VerdictFailed
	// VerdictRefused: the destination will never take this message, which becomes a dead letter
	// at once. But when five different ones are refused in a row, the fault is taken to be the
	// destination's, and the lane pauses with the fifth. All other statuses, 3xx among them:
	// redirects are never followed.
	VerdictRefused
	// VerdictGone: nobody wants these messages any more. Each becomes a dead letter at once,
	// however many there are. 410.
	VerdictGone
)

// judge turns an answer, or none, into a verdict. Only one of the two is given.
func judge(resp *http.Response, err error) Verdict {
	if err != nil || resp == nil {
		return VerdictUnwell
	}
	switch status := resp.StatusCode; {
	case status >= 200 && status < 300:
		return VerdictDelivered
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests,
		status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return VerdictUnwell
	case status >= 500:
		return VerdictFailed
	case status == http.StatusGone:
		return VerdictGone
	}
	return VerdictRefused
}

// judge asks the route first.
func (rt *route) judge(resp *http.Response, err error) Verdict {
	if rt.retryIf != nil {
		if v := rt.retryIf(resp, err); v > VerdictDefault && v <= VerdictGone {
			return v
		}
	}
	return judge(resp, err)
}
