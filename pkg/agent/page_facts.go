package agent

import (
	"fmt"
	"strings"
)

func (v *view) facts() []fact {
	next := fact{Name: "Next backup", Value: "not planned", Note: "the agent is " + v.State}
	switch {
	case v.Next != nil && v.asks():
		next = fact{"Next question", v.soon(*v.Next), v.at(*v.Next) + ", to the service, whether a backup is due"}
	case v.Next != nil:
		next = fact{next.Name, v.soon(*v.Next), v.at(*v.Next) + why(v.Reason)}
	case v.Running != nil:
		next.Value, next.Note = "after this one", "planned when it has ended"
	}
	b := v.Newest
	if b == nil {
		none := fact{"Newest backup", "none", "in " + v.Storage}
		if v.State == StateStarting {
			none.Value, none.Note = "–", "not read yet"
		}
		return []fact{next, none, {"Size", "–", "of the newest backup"}}
	}
	saved := ""
	if b.StoredBytes < b.PlainBytes {
		saved = fmt.Sprintf(" (%.0f %%)", 100*float64(b.StoredBytes)/float64(b.PlainBytes))
	}
	if b.Unproved {
		return []fact{next, {"Newest backup", v.ago(b.Finished), v.at(b.Finished) + ", its end"}, {"Size", size(b.StoredBytes), "stored, origin not proved"}}
	}
	return []fact{
		next,
		{"Newest backup", v.ago(b.Started), v.at(b.Started) + ", took " + span(b.Finished.Sub(b.Started))},
		{"Size", size(b.StoredBytes), "stored" + saved + " of " + size(b.PlainBytes) + " of dump"},
	}
}

func why(reason string) string {
	return map[string]string{ReasonRetry: ", after a failure", ReasonRequested: ", as asked for"}[reason]
}

func (v *view) row(r Run) row {
	out := row{Run: r, At: v.at(r.Started), Took: span(r.Finished.Sub(r.Started)), Plain: size(r.PlainBytes), Stored: size(r.StoredBytes), Mark: "good", Verdict: r.Backup}
	if r.Error == "" && r.PlainBytes == 0 { // a service told of it, which does not know
		out.Took, out.Plain = "–", "–"
	}
	if r.Partial {
		out.Mark, out.Verdict, out.Error = "bad", r.Backup+", partial", strings.TrimSpace(r.Error)
		return out
	}
	if r.Error != "" {
		out.Plain, out.Stored = "–", "–"
		out.Mark, out.Verdict = "bad", "failed in "+r.Stage
		if r.Stage == "lock" {
			out.Mark, out.Verdict = "calm", "left to another run"
		}
		out.Error = strings.TrimSpace(r.Error)
	}
	return out
}

func (v *view) details() []fact {
	out := []fact{{"Schedule", v.Schedule, v.Timezone}, {"Storage", v.Storage, ""}}
	for i, p := range v.Places {
		one := fact{fmt.Sprintf("Place %d", i+1), p.Storage, "no backup yet"}
		if p.Newest != nil {
			one.Note = "newest " + v.at(p.Newest.Started)
		}
		if p.Error != "" {
			one.Note = p.Error
		}
		if out = append(out, one); i == 0 {
			out = append(out[:1], one) // instead of all in one line
		}
	}
	if b := v.Newest; b != nil && !b.Unproved {
		out = append(out, fact{"Database", b.Database, ""}, fact{"Server", b.Engine, b.ServerVersion}, fact{"Dump program", b.ToolVersion, ""})
	}
	return append(out, fact{"dbacked", v.AgentVersion, ""}, fact{"Running since", v.at(v.Since), fmt.Sprintf("process %d", v.PID)})
}
