package device

import (
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/grange-network/grange/core/device"
	"github.com/grange-network/grange/core/money"
	"github.com/grange-network/grange/ledger/api/devicepb"
)

// Limits of a profile, in bytes and items.
const (
	MaxEndpoint     = 256
	MaxMetadata     = 1024
	MaxCapabilities = 16
	MaxCapability   = 32
)

// maxLevelCap is the most that an attestation may raise a cap to, in basis
// points: three times.
const maxLevelCap = 30_000

// checkProfile reports what is wrong with a profile and how to mend it.
func checkProfile(p devicepb.Profile) error {
	switch {
	case p.Class != devicepb.CLASS_PRN && p.Class != devicepb.CLASS_DRN:
		return ErrInvalid.Wrapf("class is %s: use CLASS_PRN for a device whose place matters, else CLASS_DRN", p.Class)
	case p.Status < devicepb.STATUS_ACTIVE || p.Status > devicepb.STATUS_RETIRED:
		return ErrInvalid.Wrapf("status is %s: use STATUS_ACTIVE, STATUS_PAUSED or STATUS_RETIRED", p.Status)
	case p.Class == devicepb.CLASS_PRN && p.Cell == 0:
		return ErrCell.Wrap("a PRN device needs an H3 cell: set cell, or use CLASS_DRN")
	case !plain(p.Endpoint, MaxEndpoint):
		return ErrInvalid.Wrapf("endpoint is %d bytes: use at most %d bytes of printable text", len(p.Endpoint), MaxEndpoint)
	case !plain(p.Metadata, MaxMetadata):
		return ErrInvalid.Wrapf("metadata is %d bytes: use at most %d bytes of printable text, or a URI to more", len(p.Metadata), MaxMetadata)
	case len(p.Capabilities) > MaxCapabilities:
		return ErrInvalid.Wrapf("%d capabilities: use at most %d", len(p.Capabilities), MaxCapabilities)
	}
	if p.Cell != 0 {
		if err := device.CheckCell(p.Cell); err != nil {
			return ErrCell.Wrap(err.Error())
		}
	}
	for i, c := range p.Capabilities {
		if !capability(c) {
			return ErrInvalid.Wrapf("capability %.64q: use 1 to %d of a-z, 0-9 and hyphen", c, MaxCapability)
		}
		if i > 0 && p.Capabilities[i-1] >= c {
			return ErrInvalid.Wrapf("capability %q follows %q: sort them and name each once", c, p.Capabilities[i-1])
		}
	}
	return nil
}

// plain reports whether s is at most limit bytes of UTF-8 without controls.
func plain(s string, limit int) bool {
	if len(s) > limit || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return false
		}
	}
	return true
}

func capability(s string) bool {
	if len(s) == 0 || len(s) > MaxCapability {
		return false
	}
	return !slices.ContainsFunc([]byte(s), func(b byte) bool {
		return b != '-' && (b < 'a' || b > 'z') && (b < '0' || b > '9')
	})
}

// checkParams reports what is wrong with parameters.
func checkParams(p devicepb.Params) error {
	if err := p.LocationFee.Validate(); err != nil {
		return fmt.Errorf("location_fee %s: %w", p.LocationFee, err)
	}
	if p.LocationCooldown > 10*365*24*3600 {
		return fmt.Errorf("location_cooldown is %d s: use at most ten years", p.LocationCooldown)
	}
	if p.MaxDevicesPerOwner == 0 {
		return fmt.Errorf("max_devices_per_owner is 0: use at least 1")
	}
	if p.TransferEpochs > 10_000 {
		return fmt.Errorf("transfer_epochs is %d: use at most 10000", p.TransferEpochs)
	}
	if len(p.LevelCaps) != device.MaxLevel {
		return fmt.Errorf("level_caps has %d entries, want %d", len(p.LevelCaps), device.MaxLevel)
	}
	last := uint32(money.Whole)
	for i, c := range p.LevelCaps {
		if c < last || c > maxLevelCap {
			return fmt.Errorf("level_caps of level %d is %d: use %d to %d", i+1, c, last, maxLevelCap)
		}
		last = c
	}
	return nil
}

// checkBeneficiaries reports the first split whose beneficiary cannot be paid.
func (k *Keeper) checkBeneficiaries(splits []device.Split) error {
	for i, s := range splits {
		to, err := k.accounts.StringToBytes(s.To)
		if err != nil {
			return ErrSplits.Wrapf("beneficiary %.80q of number %d is not an address: %v", s.To, i, err)
		}
		if k.bank.BlockedAddr(sdk.AccAddress(to)) {
			return ErrSplits.Wrapf("beneficiary %s of number %d is a module account and cannot be paid", s.To, i)
		}
		if s.Denom != "" {
			if err := sdk.ValidateDenom(s.Denom); err != nil {
				return ErrSplits.Wrapf("denomination %.80q of number %d: %v", s.Denom, i, err)
			}
		}
	}
	return nil
}
