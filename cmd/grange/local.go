package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/grange-network/grange/internal/cliout"
	"github.com/grange-network/grange/node"
)

func newLocal(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "local",
		Short: "Act on the roles of the network running here",
		Example: "grange local list\n" +
			"grange local kill storage-03\n" +
			"grange local start storage-03",
		RunE: group,
	}
	c.AddCommand(newLocalList(g),
		newLocalAct(g, "stop", "Stop a role cleanly", (*node.Client).Stop),
		newLocalAct(g, "start", "Start a stopped, killed or failed role and wait until it is ready", (*node.Client).Start),
		newLocalAct(g, "kill", "Kill a role without warning (SIGKILL with up --processes)", (*node.Client).Kill),
		newLocalDown(g))
	return c
}

// localList is the JSON form of grange local list.
type localList struct {
	PID      int            `json:"pid"`
	Roles    []node.Info    `json:"roles"`
	Problems []node.Problem `json:"problems"`
}

func newLocalList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the roles and their state",
		Example: "grange local list --json",
		Args:    args(),
		RunE: func(c *cobra.Command, _ []string) error {
			roles, problems, pid, err := node.NewClient(g.home).List(c.Context())
			if err != nil {
				return g.explainControl(err)
			}
			return g.out(c).Emit(localList{PID: pid, Roles: roles, Problems: append([]node.Problem{}, problems...)}, func(w io.Writer) error {
				return writeRoles(w, roles)
			})
		},
	}
}

func writeRoles(w io.Writer, roles []node.Info) error {
	t := cliout.NewTable("NAME", "KIND", "STATE", "FOR", "PID", "").Right(4)
	for _, r := range roles {
		pid := ""
		if r.PID != 0 {
			pid = fmt.Sprint(r.PID)
		}
		t.Row(r.Name, r.Kind, r.State, time.Since(r.Since).Truncate(time.Second), pid, r.Error)
	}
	return t.Write(w)
}

func newLocalAct(g *globals, verb, short string, act func(*node.Client, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use:     verb + " NAME",
		Short:   short,
		Example: "grange local " + verb + " storage-03",
		Args:    args("the NAME of a role"),
		RunE: func(c *cobra.Command, given []string) error {
			if err := act(node.NewClient(g.home), c.Context(), given[0]); err != nil {
				return g.explainControl(err)
			}
			return g.showRole(c, given[0])
		},
	}
}

// showRole writes the state a role has now.
func (g *globals) showRole(c *cobra.Command, name string) error {
	roles, _, _, err := node.NewClient(g.home).List(c.Context())
	if err != nil {
		return g.explainControl(err)
	}
	for _, r := range roles {
		if r.Name == name {
			return g.out(c).Emit(r, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s is %s\n", r.Name, r.State)
				return err
			})
		}
	}
	return nil
}

func newLocalDown(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop the whole network cleanly",
		Args:  args(),
		RunE: func(c *cobra.Command, _ []string) error {
			return g.explainControl(node.NewClient(g.home).StopNode(c.Context()))
		},
	}
}

func (g *globals) explainControl(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, node.ErrNotRunning) && kindOf(g.home) == homeHost:
		return cliout.Failf(cliout.Refused, "grange status"+g.homeFlag(), "%s is the home of one machine of many: its one role runs as grange start does", g.home)
	case errors.Is(err, node.ErrNotRunning):
		return g.notRunning(err)
	case errors.Is(err, node.ErrUnknownRole), errors.Is(err, node.ErrWrongState):
		return try(err, "grange local list"+g.homeFlag())
	}
	return err
}
