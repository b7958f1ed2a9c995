package scheduler

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// set is the values that a field allows.
type set uint64

func (s set) has(value int) bool { return s&(1<<value) != 0 }

// field is one of the five.
type field struct {
	name      string
	low, high int
	names     []string // of the values from low on
}

// fields returns the five, in their order.
func fields() []field {
	return []field{
		{name: "minute", low: 0, high: 59},
		{name: "hour", low: 0, high: 23},
		{name: "day of month", low: 1, high: 31},
		{name: "month", low: 1, high: 12, names: strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")},
		{name: "day of week", low: 0, high: sunday, names: strings.Fields("SUN MON TUE WED THU FRI SAT")},
	}
}

// sunday is how a range ends with it: FRI-SUN is 5-7.
const sunday = 7

// Parse reads a cron expression, or one of @hourly and its like, whose times
// are those of a zone (nil: the system's). It refuses what is never due, such
// as 31 February.
func Parse(expr string, zone *time.Location) (*Schedule, error) {
	if zone == nil {
		zone = time.Local
	}
	s := &Schedule{text: strings.Join(strings.Fields(expr), " "), zone: zone}
	if err := s.parse(); err != nil {
		return nil, fmt.Errorf("schedule %q: %w", s.text, err)
	}
	return s, nil
}

func (s *Schedule) parse() error {
	texts := strings.Fields(s.text)
	if strings.HasPrefix(s.text, "@") {
		meaning, ok := named(s.text)
		if !ok {
			return errors.New("unknown name: use @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually, or five fields")
		}
		texts = strings.Fields(meaning)
	}
	if len(texts) != 5 {
		return fmt.Errorf("it has %d fields: use five (minute, hour, day of month, month, day of week), as in \"30 2 * * *\", or @daily", len(texts))
	}
	sets := []*set{&s.minute, &s.hour, &s.day, &s.month, &s.weekday}
	for i, f := range fields() {
		var err error
		if *sets[i], err = f.parse(texts[i]); err != nil {
			return err
		}
	}
	if s.weekday.has(sunday) {
		s.weekday |= 1
	}
	s.eitherDay = !open(texts[2]) && !open(texts[4])
	s.elapsed = open(texts[1]) || bits.OnesCount64(uint64(s.hour)) == 24
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	if s.reading(start, start.AddDate(farthest, 0, 0)).IsZero() {
		return errors.New("there is never such a day: change the day of month, or the month")
	}
	return nil
}

// named returns the fields that a name stands for.
func named(name string) (string, bool) {
	switch strings.ToLower(name) {
	case "@hourly":
		return "0 * * * *", true
	case "@daily", "@midnight":
		return "0 0 * * *", true
	case "@weekly":
		return "0 0 * * 0", true
	case "@monthly":
		return "0 0 1 * *", true
	case "@yearly", "@annually":
		return "0 0 1 1 *", true
	}
	return "", false
}

// open says that a field is not restricted, in the sense of cron.
func open(text string) bool { return strings.HasPrefix(text, "*") }

// parse reads a field: a list.
func (f field) parse(text string) (set, error) {
	var all set
	for item := range strings.SplitSeq(text, ",") {
		values, err := f.item(item)
		if err != nil {
			return 0, fmt.Errorf("%s %q: %w", f.name, text, err)
		}
		all |= values
	}
	return all, nil
}

// item reads one of a list: a value, or a range or * with or without a step.
func (f field) item(text string) (set, error) {
	text, stepText, stepped := strings.Cut(text, "/")
	first, last, err := f.bounds(text)
	if err != nil {
		return 0, err
	}
	step := 1
	if stepped {
		if text != "*" && !strings.Contains(text, "-") {
			return 0, fmt.Errorf("a step needs a range: use %s-%d/%s", text, f.high, stepText)
		}
		n, err := strconv.ParseUint(stepText, 10, 8)
		if size := f.high - f.low + 1; err != nil || n < 1 || int(n) > size {
			return 0, fmt.Errorf("%q is no step: use a number from 1 to %d", stepText, size)
		}
		step = int(n)
	}
	var values set
	for v := first; v <= last; v += step {
		values |= 1 << v
	}
	return values, nil
}

// bounds reads *, a value or a range.
func (f field) bounds(text string) (first, last int, err error) {
	if text == "*" {
		return f.low, f.high, nil
	}
	from, to, ranged := strings.Cut(text, "-")
	if first, err = f.value(from); err != nil || !ranged {
		return first, first, err
	}
	if last, err = f.value(to); err != nil {
		return 0, 0, err
	}
	if f.high == sunday && last == 0 && first > 0 {
		last = sunday
	}
	if last < first {
		return 0, 0, fmt.Errorf("the range %s ends before it begins: make two of it, %s-%d,%d-%s", text, from, f.high, f.low, to)
	}
	return first, last, nil
}

func (f field) value(text string) (int, error) {
	for i, name := range f.names {
		if strings.EqualFold(text, name) {
			return f.low + i, nil
		}
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil || int(n) < f.low || int(n) > f.high {
		names := ""
		if f.names != nil {
			names = fmt.Sprintf(", %s-%s", f.names[0], f.names[len(f.names)-1])
		}
		return 0, fmt.Errorf("%q is none: use *, %d-%d%s, ranges (a-b), steps (*/n) or lists of them (a,b)", text, f.low, f.high, names)
	}
	return int(n), nil
}
