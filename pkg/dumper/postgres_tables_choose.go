package dumper

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dbacked/dbacked/pkg/dumper/pgarchive"
)

// pgPicked is what is made of an archive's definitions.
type pgPicked struct {
	entries []pgarchive.Entry
	byID    map[int]*pgarchive.Entry
	tables  map[pgTableName]*pgarchive.Entry
	data    map[pgTableName]bool // with data in this archive
	there   pgThere

	made      map[int]bool
	late      map[int]bool         // of these, what comes last
	sequences map[pgTableName]bool // made, so that they need their values
	leftOut   []string

	before, after, last []int // of made, in the order in which they are made
}

func newPgPicked(entries []pgarchive.Entry, there pgThere) *pgPicked {
	p := &pgPicked{
		entries: entries, there: there, byID: map[int]*pgarchive.Entry{}, tables: map[pgTableName]*pgarchive.Entry{},
		data: map[pgTableName]bool{}, made: map[int]bool{}, late: map[int]bool{}, sequences: map[pgTableName]bool{},
	}
	for i := range entries {
		e := &entries[i]
		name := pgTableName{e.Namespace, e.Tag}
		p.byID[e.ID] = e
		switch e.Desc {
		case "TABLE":
			p.tables[name] = e
		case "TABLE DATA":
			p.data[name] = true
		}
	}
	return p
}

// withPartitions adds the partitions of the tables, and theirs.
func (p *pgPicked) withPartitions(chosen []pgTableName) []pgTableName {
	all := map[pgTableName]bool{}
	for _, n := range chosen {
		all[n] = true
	}
	for grown := true; grown; {
		grown = false
		for i := range p.entries {
			e := &p.entries[i]
			child := pgTableName{e.Namespace, e.Tag}
			if e.Desc != "TABLE ATTACH" || all[child] || p.tables[child] == nil {
				continue
			}
			for _, id := range e.Dependencies {
				if parent := p.byID[id]; parent != nil && parent.Desc == "TABLE" && all[pgTableName{parent.Namespace, parent.Tag}] {
					all[child], grown = true, true
				}
			}
		}
	}
	return pgSorted(all)
}

// table picks a table that is to be made.
func (p *pgPicked) table(name pgTableName) error {
	e := p.tables[name]
	if e == nil {
		return fmt.Errorf("the backup has rows of the table %s and not its definition, which an extension makes: make that first (CREATE EXTENSION)", name)
	}
	p.need(e)
	return nil
}

// need picks an entry with all that it needs and the target lacks.
func (p *pgPicked) need(e *pgarchive.Entry) {
	if p.made[e.ID] || p.there.has(e) || pgIsData(e) {
		return
	}
	p.made[e.ID] = true
	for _, id := range e.Dependencies {
		if other := p.byID[id]; other != nil {
			p.need(other)
		}
	}
}

func pgIsData(e *pgarchive.Entry) bool {
	return e.HasData || strings.HasSuffix(e.Desc, " DATA") || e.Desc == "SEQUENCE SET"
}

// complete picks what belongs to that, and puts it in order.
func (p *pgPicked) complete() {
	p.belonging()
	p.possible()
	p.belonging() // comments on what was possible
	for i := range p.entries {
		e := &p.entries[i]
		switch {
		case !p.made[e.ID]:
		case p.late[e.ID]:
			p.last = append(p.last, e.ID)
		case pgAfterData(e.Desc):
			p.after = append(p.after, e.ID)
		default:
			p.before = append(p.before, e.ID)
		}
		if p.made[e.ID] && e.Desc == "SEQUENCE" {
			p.sequences[pgTableName{e.Namespace, e.Tag}] = true
		}
	}
	p.order()
}

// order moves what needs something that comes after the data there too: comments,
// whose description does not tell.
func (p *pgPicked) order() {
	after := map[int]bool{}
	for _, id := range p.after {
		after[id] = true
	}
	var before []int
	for _, id := range p.before {
		if slices.ContainsFunc(p.byID[id].Dependencies, func(other int) bool { return after[other] }) {
			p.after, after[id] = append(p.after, id), true
			continue
		}
		before = append(before, id)
	}
	p.before = before
}

// pgAfterData tells whether such objects come after the data.
func pgAfterData(desc string) bool {
	switch desc {
	case "INDEX", "INDEX ATTACH", "CONSTRAINT", "CHECK CONSTRAINT", "FK CONSTRAINT", "TRIGGER", "RULE", "POLICY", "ROW SECURITY", "STATISTICS":
		return true
	}
	return false
}

// belonging picks what belongs to the tables, and what that needs, until there is
// no more of it.
func (p *pgPicked) belonging() {
	for grown := true; grown; {
		grown = false
		for i := range p.entries {
			e := &p.entries[i]
			if p.made[e.ID] || !p.belongs(e) {
				continue
			}
			if p.there.has(e) {
				p.leave(e, "something of that name is there")
				continue
			}
			p.need(e)
			grown = grown || p.made[e.ID]
		}
	}
}

// belongs tells whether an entry is a part of something that is made.
func (p *pgPicked) belongs(e *pgarchive.Entry) bool {
	switch e.Desc {
	case "SEQUENCE", "DEFAULT", "INDEX", "CONSTRAINT", "CHECK CONSTRAINT", "STATISTICS", "ROW SECURITY":
		owner := p.owner(e)
		return owner != nil && p.made[owner.ID]
	case "COMMENT", "ACL", "SECURITY LABEL", "SEQUENCE OWNED BY":
		return slices.ContainsFunc(e.Dependencies, func(id int) bool { return p.made[id] })
	}
	return false
}

// owner is the table that an entry is a part of, or nil.
func (p *pgPicked) owner(e *pgarchive.Entry) *pgarchive.Entry {
	for _, id := range e.Dependencies {
		t := p.byID[id]
		if t == nil || t.Desc != "TABLE" {
			continue
		}
		switch e.Desc {
		case "SEQUENCE", "INDEX", "STATISTICS":
			return t
		}
		if t.Namespace == e.Namespace && (e.Tag == t.Tag || strings.HasPrefix(e.Tag, t.Tag+" ")) {
			return t
		}
	}
	return nil
}

// possible picks what belongs to the tables as far as its other ends are there.
func (p *pgPicked) possible() {
	for i := range p.entries {
		e := &p.entries[i]
		switch e.Desc {
		case "TABLE ATTACH":
			p.attach(e)
		case "TRIGGER", "RULE", "POLICY", "FK CONSTRAINT":
			p.with(e)
		}
	}
	for i := range p.entries {
		e := &p.entries[i]
		// What is attached to a table that exists finds its indexes by itself.
		if e.Desc == "INDEX ATTACH" && p.all(e, func(other *pgarchive.Entry) bool { return p.made[other.ID] }) {
			p.made[e.ID] = true
		}
	}
}

// attach has a partition that is made become one, once its indexes are there if the
// table exists.
func (p *pgPicked) attach(e *pgarchive.Entry) {
	child := p.tables[pgTableName{e.Namespace, e.Tag}]
	var parent *pgarchive.Entry
	for _, id := range e.Dependencies {
		if t := p.byID[id]; t != nil && t != child && t.Desc == "TABLE" {
			parent = t
		}
	}
	switch {
	case child == nil || parent == nil || !p.made[child.ID] && !p.made[parent.ID]:
	case !p.made[child.ID]:
		p.leave(e, "the partition was there before the table that it is a part of")
	case p.made[parent.ID]:
		p.made[e.ID] = true
	case p.there.has(parent):
		p.made[e.ID], p.late[e.ID] = true, true
	default:
		p.leave(e, "the table "+pgEntryName(parent)+" is not there")
	}
}

// with picks an entry of a table that is made if all else that it needs is there.
func (p *pgPicked) with(e *pgarchive.Entry) {
	owner := p.owner(e)
	if owner == nil {
		return
	}
	if !p.made[owner.ID] {
		refers := func(id int) bool { return p.made[id] && p.byID[id].Desc == "TABLE" }
		if e.Desc == "FK CONSTRAINT" && slices.ContainsFunc(e.Dependencies, refers) && p.there.has(owner) {
			p.leave(e, "the table that it belongs to is not restored")
		}
		return
	}
	var lacking *pgarchive.Entry
	p.all(e, func(other *pgarchive.Entry) bool {
		if !p.made[other.ID] && !p.there.has(other) && !pgIsData(other) {
			lacking = other
		}
		return lacking == nil
	})
	if lacking != nil {
		p.leave(e, fmt.Sprintf("the %s %s is not there", strings.ToLower(lacking.Desc), pgEntryName(lacking)))
		return
	}
	p.made[e.ID] = true
}

// all tells whether something holds for all that an entry needs.
func (p *pgPicked) all(e *pgarchive.Entry, holds func(*pgarchive.Entry) bool) bool {
	for _, id := range e.Dependencies {
		if other := p.byID[id]; other != nil && !holds(other) {
			return false
		}
	}
	return true
}

func (p *pgPicked) leave(e *pgarchive.Entry, why string) {
	name := pgEntryName(e)
	if t := p.owner(e); t != nil && strings.HasPrefix(e.Tag, t.Tag+" ") {
		name = fmt.Sprintf("%s of %s", pgName(e.Tag[len(t.Tag)+1:]), pgEntryName(t))
	}
	text := fmt.Sprintf("%s %s: %s", pgWord(e), name, why)
	if !slices.Contains(p.leftOut, text) {
		p.leftOut = append(p.leftOut, text)
	}
}

// pgWord is what people call such an entry.
func pgWord(e *pgarchive.Entry) string {
	switch e.Desc {
	case "FK CONSTRAINT":
		return "foreign key"
	case "CHECK CONSTRAINT":
		return "constraint"
	case "TABLE ATTACH":
		return "partition"
	}
	return strings.ToLower(e.Desc)
}

func pgEntryName(e *pgarchive.Entry) string {
	switch {
	case e.Namespace == "":
		return pgName(e.Tag)
	case strings.HasSuffix(e.Tag, ")"): // a function with its types
		return pgName(e.Namespace) + "." + e.Tag
	}
	return pgTableName{e.Namespace, e.Tag}.String()
}

// report names what is made beside the tables that were chosen and what is part of
// them, and what is not.
func (p *pgPicked) report(chosen []pgTableName) (made, leftOut []string) {
	for i := range p.entries {
		e := &p.entries[i]
		if !p.made[e.ID] || slices.Contains(chosen, pgTableName{e.Namespace, e.Tag}) {
			continue
		}
		switch e.Desc {
		case "TABLE":
			made = append(made, "table "+pgEntryName(e)+", without its rows")
		case "SCHEMA", "TYPE", "DOMAIN", "FUNCTION", "PROCEDURE", "AGGREGATE", "EXTENSION", "COLLATION", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "PROCEDURAL LANGUAGE":
			made = append(made, strings.ToLower(e.Desc)+" "+pgEntryName(e))
		}
	}
	return made, p.leftOut
}
