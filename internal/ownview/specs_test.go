package ownview

import (
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
)

func TestSpecs_WhatIsAChange(t *testing.T) {
	group := func(name failover.GroupName, since failover.Index) *failover.Group {
		return &failover.Group{Name: name, SpecVersion: 1, SpecSince: since}
	}
	specs := Specs{}
	for _, step := range []struct {
		what   string
		groups []*failover.Group
		want   bool
	}{
		{"nothing yet", nil, false},
		{"a group", []*failover.Group{group("pay", 5)}, true},
		{"the same", []*failover.Group{group("pay", 5)}, false},
		{"a second one", []*failover.Group{group("pay", 5), group("shop", 9)}, true},
		{"a new version", []*failover.Group{group("pay", 11), group("shop", 9)}, true},
		{"deleted and created again", []*failover.Group{group("pay", 11), group("shop", 12)}, true},
		{"one in place of another", []*failover.Group{group("pay", 11), group("till", 12)}, true},
		{"one less", []*failover.Group{group("pay", 11)}, true},
		{"none left", nil, true},
	} {
		if got := specs.Follow(&failover.State{Groups: step.groups}); got != step.want {
			t.Errorf("%s: changed %t, want %t", step.what, got, step.want)
		}
		for _, g := range step.groups {
			if !specs.Has(g) {
				t.Errorf("%s: the spec of %s is not known", step.what, g.Name)
			}
		}
	}
	if specs.Has(group("pay", 11)) {
		t.Error("a deleted group's spec is still known")
	}
}
