package repeater

// Scripts answer with nested lists of integers and texts; what is missing reads as zero.

func replyInt(reply []any, i int) int64 {
	if i >= len(reply) {
		return 0
	}
	n, _ := reply[i].(int64)
	return n
}

func replyText(reply []any, i int) string {
	if i >= len(reply) {
		return ""
	}
	s, _ := reply[i].(string)
	return s
}

func replyList(reply []any, i int) []any {
	if i >= len(reply) {
		return nil
	}
	l, _ := reply[i].([]any)
	return l
}

func replyTexts(reply []any) []string {
	var texts []string
	for i := range reply {
		texts = append(texts, replyText(reply, i))
	}
	return texts
}
