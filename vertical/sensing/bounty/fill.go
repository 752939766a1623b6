package bounty

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/h3"
	"github.com/grange-network/grange/vertical/sensing"
	"github.com/grange-network/grange/vertical/sensing/facts"
	"github.com/grange-network/grange/vertical/sensing/query"
)

// often is how often it is looked for what has come.
const often = 15 * time.Second

// Run buys what comes until ctx ends.
func (k *Book) Run(ctx context.Context) error {
	again := time.NewTicker(often)
	defer again.Stop()
	for {
		k.Fill(ctx)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
}

// Fill buys once what has come for all open bounties.
func (k *Book) Fill(ctx context.Context) {
	for _, b := range k.List("") {
		why := ""
		if err := k.fill(ctx, b.ID); err != nil {
			if ctx.Err() != nil {
				return
			}
			why = err.Error()
			k.cfg.Logger.Warn("something is not bought for a bounty", "bounty", b.ID, "err", err)
		}
		if err := k.change(b.ID, func(b *Bounty) bool {
			changed := b.Trouble != why
			b.Trouble = why
			return changed
		}); err != nil {
			k.cfg.Logger.Warn("bounty is not saved", "err", err)
		}
	}
}

// change saves what f makes of a bounty, unless it changes nothing.
func (k *Book) change(id string, f func(*Bounty) bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	b := k.all[id].copy()
	if !f(&b) {
		return nil
	}
	if err := k.save(&b); err != nil {
		return err
	}
	*k.all[id] = b
	return nil
}

// fill buys for one bounty: of each cell the newest object, if it was made after
// the bounty was put up and is so much newer than the one bought before. Objects
// come up to sensing.Late after they were made, so the period before is looked at
// too.
func (k *Book) fill(ctx context.Context, id string) error {
	k.mu.Lock()
	b := k.all[id].copy()
	k.mu.Unlock()
	p, err := k.product(b.Product)
	if err != nil {
		return err
	}
	area, err1 := h3.Parse(b.Area)
	every, err2 := time.ParseDuration(b.Every)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	now := k.cfg.Now()
	found, err := k.cfg.Facts.Facts(ctx, facts.Query{Product: p, Cell: area, From: p.PeriodOf(now.Add(-sensing.Late)).Began, To: p.PeriodOf(now).Ended})
	if err != nil {
		return err
	}
	last := map[string]time.Time{}
	for _, x := range b.Bought {
		last[x.Cell] = x.Taken
	}
	var failed error
	for i := range found {
		f := &found[i]
		if f.Object == nil || f.Object.Time.Before(b.Placed) {
			continue
		}
		cell := f.Cell.String()
		if before, again := last[cell]; again && f.Object.Time.Sub(before) < every {
			continue
		}
		if !k.open(id, now) {
			return failed
		}
		x := Purchase{
			Cell: cell, Device: device.ID(f.Object.Device).String(), Taken: f.Object.Time, Bought: now.UTC(), Units: b.Units,
			Key: f.Object.Key, Size: f.Object.Size, Record: f.Object.Record,
		}
		err := k.buy(ctx, &b, x, f.Object.Device)
		if errors.Is(err, query.ErrUnpaid) || errors.Is(err, query.ErrNoLease) {
			return err
		}
		if err != nil {
			failed = fmt.Errorf("cell %s: %w", cell, err)
			continue
		}
		last[cell] = x.Taken
	}
	return failed
}

// open reports whether anything is bought for a bounty at a time.
func (k *Book) open(id string, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.all[id].open(now)
}

// buy checks an object, enters it and pays for it. A crash between the two leaves
// one object unpaid, which is what a device can lose.
func (k *Book) buy(ctx context.Context, b *Bounty, x Purchase, owner device.ID) error {
	if _, _, err := k.read(ctx, b.Product, x); err != nil {
		return err
	}
	enter := func(bought []Purchase) error {
		return k.change(b.ID, func(now *Bounty) bool { now.Bought = bought; return true })
	}
	before := b.Bought
	b.Bought = append(b.Bought[:len(before):len(before)], x)
	if err := enter(b.Bought); err != nil {
		b.Bought = before
		return err
	}
	if _, err := k.cfg.Till.Charge(ctx, b.Buyer, query.Rows{owner: x.Units}); err != nil {
		b.Bought = before
		return errors.Join(err, enter(before))
	}
	return nil
}
