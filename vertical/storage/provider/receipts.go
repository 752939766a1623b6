package provider

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/grange-network/grange/core/receipt"
)

func isUnexpectedEOF(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }

func (p *Provider) postReceipt(w http.ResponseWriter, r *http.Request) error {
	s, err := p.session(r)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, receipt.Size+1))
	if err != nil {
		return refuse(http.StatusBadRequest, CodeBadRequest, "read receipt: %w", err)
	}
	rec, err := receipt.Decode(b)
	if err != nil {
		return refuse(http.StatusBadRequest, CodeBadRequest, "%w", err)
	}
	signed, err := p.acceptReceipt(r.Context(), s, rec)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, err = w.Write(signed.Encode())
	return err
}

// acceptReceipt takes a receipt of any lane of the session's lease: its signature
// says who pays. A stale one is answered with 409 and the newest in the header.
func (p *Provider) acceptReceipt(ctx context.Context, s session, rec receipt.Receipt) (receipt.Receipt, error) {
	ln, ok := s.lease.Lane(rec.Lane)
	if !ok || rec.Lease != s.lease.ID {
		return receipt.Receipt{}, refuse(http.StatusForbidden, CodeNotAllowed, "receipt is of lease %x lane %d, not of a lane of lease %s", rec.Lease, rec.Lane, hexOf(s.lease.ID))
	}
	return p.laneOf(laneID{s.lease.ID, ln.ID}).pay(ctx, p, p.laneTerms(s.lease, ln), rec, s.epoch)
}

func (p *Provider) getReceipt(w http.ResponseWriter, r *http.Request) error {
	s, err := p.session(r)
	if err != nil {
		return err
	}
	id, err := number(r, "lane", int64(s.lane.ID))
	if err != nil {
		return err
	}
	ln, ok := s.lease.Lane(uint32(id))
	if !ok || id != int64(uint32(id)) {
		return refuse(http.StatusNotFound, CodeNotFound, "lease %s has no lane %d", hexOf(s.lease.ID), id)
	}
	newest, err := p.laneOf(laneID{s.lease.ID, ln.ID}).newest(p, p.laneTerms(s.lease, ln))
	if err != nil {
		return err
	}
	if newest.Seq == 0 {
		return refuse(http.StatusNotFound, CodeNotFound, "no receipt of lease %s lane %d", hexOf(s.lease.ID), id)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, err = w.Write(newest.Encode())
	return err
}
