package index

import (
	"slices"
	"strings"
)

// schemaVersion is stored in the file; another one makes the index anew.
const schemaVersion = "2"

// Rows are numbered in the order the ledger made them: a position is the height
// shifted by positionBits, plus the index in the block. Devices and leases have
// small numbers of their own (n), since a receipt names both.
const schema = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE blocks (
	height INTEGER PRIMARY KEY, time INTEGER NOT NULL, hash BLOB NOT NULL, app_hash BLOB NOT NULL, proposer BLOB NOT NULL,
	txs INTEGER NOT NULL, events INTEGER NOT NULL, epoch INTEGER, body BLOB NOT NULL);
CREATE INDEX full_blocks ON blocks (height) WHERE txs > 0;
CREATE TABLE proposers (address BLOB PRIMARY KEY, blocks INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE txs (
	id INTEGER PRIMARY KEY, hash BLOB NOT NULL, time INTEGER NOT NULL, signer TEXT, type TEXT NOT NULL, types TEXT NOT NULL,
	code INTEGER NOT NULL, codespace TEXT NOT NULL, log TEXT NOT NULL, gas_wanted INTEGER NOT NULL, gas_used INTEGER NOT NULL, fee INTEGER);
CREATE INDEX txs_by_hash ON txs (hash, id); -- a block may repeat a transaction that failed
CREATE INDEX txs_of_signer ON txs (signer, id);
CREATE INDEX txs_of_type ON txs (type, id);
CREATE INDEX failed_txs ON txs (id) WHERE code > 0;

CREATE TABLE devices (
	n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, did TEXT NOT NULL, owner TEXT NOT NULL, key_type TEXT, class TEXT, status TEXT NOT NULL,
	endpoint TEXT, capabilities TEXT NOT NULL, metadata TEXT, cell INTEGER NOT NULL, place INTEGER, latitude REAL, longitude REAL, height INTEGER NOT NULL, time INTEGER NOT NULL,
	paid INTEGER NOT NULL, net INTEGER NOT NULL, slashed INTEGER NOT NULL);
CREATE INDEX devices_of_owner ON devices (owner, id);
CREATE INDEX devices_by_place ON devices (place);

CREATE TABLE offers (
	id INTEGER PRIMARY KEY, owner TEXT NOT NULL, device INTEGER, kind TEXT NOT NULL, use_credits INTEGER, use_per INTEGER,
	hold_credits INTEGER, hold_per INTEGER, capacity INTEGER NOT NULL, sold INTEGER NOT NULL, bond INTEGER NOT NULL, slashed INTEGER NOT NULL,
	leases INTEGER NOT NULL, status TEXT NOT NULL, attributes TEXT NOT NULL, height INTEGER NOT NULL, time INTEGER NOT NULL);
CREATE INDEX offers_of_device ON offers (device, id);
CREATE INDEX offers_of_kind ON offers (kind, id);

CREATE TABLE demands (
	id INTEGER PRIMARY KEY, buyer TEXT NOT NULL, kind TEXT NOT NULL, capacity INTEGER NOT NULL, hold_budget INTEGER NOT NULL,
	deposited INTEGER NOT NULL, reason TEXT NOT NULL, lease BLOB NOT NULL, height INTEGER NOT NULL, time INTEGER NOT NULL);

CREATE TABLE leases (
	n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, offer INTEGER, device INTEGER, owner TEXT, payer TEXT NOT NULL, kind TEXT,
	state TEXT NOT NULL, reason TEXT NOT NULL, height INTEGER NOT NULL, time INTEGER NOT NULL, capacity INTEGER, held INTEGER,
	hold_budget INTEGER, deposited INTEGER, use_credits INTEGER, use_per INTEGER, hold_credits INTEGER, hold_per INTEGER,
	hold_paid INTEGER NOT NULL, use_paid INTEGER NOT NULL, net INTEGER NOT NULL, receipts INTEGER NOT NULL, faults INTEGER NOT NULL,
	last_epoch INTEGER, last_outcome TEXT, changed INTEGER NOT NULL);
CREATE INDEX leases_of_device ON leases (device, n);
CREATE INDEX leases_of_owner ON leases (owner, n);
CREATE INDEX leases_of_payer ON leases (payer, n);
CREATE INDEX leases_of_offer ON leases (offer, n);
CREATE INDEX leases_by_state ON leases (state, n);

CREATE TABLE lease_states (id INTEGER PRIMARY KEY, lease INTEGER NOT NULL, time INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL);
CREATE INDEX states_of_lease ON lease_states (lease, id);

CREATE TABLE lanes (lease INTEGER NOT NULL, device INTEGER NOT NULL, lane INTEGER NOT NULL, units INTEGER NOT NULL,
	PRIMARY KEY (lease, device, lane)) WITHOUT ROWID;

CREATE TABLE lease_epochs (
	lease INTEGER NOT NULL, epoch INTEGER NOT NULL, device INTEGER, outcome TEXT, held INTEGER, hold_paid INTEGER, used INTEGER,
	use_paid INTEGER, net INTEGER NOT NULL, slashed INTEGER NOT NULL, PRIMARY KEY (lease, epoch)) WITHOUT ROWID;
CREATE INDEX epochs_of_device ON lease_epochs (device, epoch);
CREATE INDEX faults ON lease_epochs (epoch, device) WHERE outcome = 'faulted' AND held > 0;

CREATE TABLE receipts (
	id INTEGER PRIMARY KEY, lease INTEGER NOT NULL, device INTEGER NOT NULL, lane INTEGER, units INTEGER NOT NULL, used INTEGER,
	paid INTEGER NOT NULL, net INTEGER NOT NULL, epoch INTEGER, tx INTEGER, time INTEGER NOT NULL);
CREATE INDEX receipts_of_device ON receipts (device, id);
CREATE INDEX receipts_of_lease ON receipts (lease, id);

CREATE TABLE proofs (
	sequence INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, device INTEGER NOT NULL, position INTEGER NOT NULL, time INTEGER NOT NULL,
	units INTEGER, size INTEGER, challenges INTEGER, tx INTEGER);
CREATE INDEX proofs_of_device ON proofs (device, sequence);
CREATE INDEX proofs_of_epoch ON proofs (epoch, device);

CREATE TABLE epochs (
	number INTEGER PRIMARY KEY, status TEXT NOT NULL, time INTEGER NOT NULL, height INTEGER NOT NULL, seed TEXT, reveals INTEGER NOT NULL,
	revenue INTEGER, burned INTEGER, released INTEGER, pool INTEGER, mid INTEGER, paid INTEGER NOT NULL, net INTEGER NOT NULL,
	receipts INTEGER NOT NULL, slashed INTEGER NOT NULL, claimed INTEGER NOT NULL, proofs INTEGER NOT NULL, units INTEGER NOT NULL);

CREATE TABLE rewards (
	device INTEGER NOT NULL, epoch INTEGER NOT NULL, hold_paid INTEGER NOT NULL, use_paid INTEGER NOT NULL, net INTEGER NOT NULL,
	slashed INTEGER NOT NULL, claimed INTEGER NOT NULL, receipts INTEGER NOT NULL, PRIMARY KEY (device, epoch)) WITHOUT ROWID;
CREATE INDEX rewards_of_epoch ON rewards (epoch, device);

CREATE TABLE reports (
	vertical TEXT NOT NULL, epoch INTEGER NOT NULL, root TEXT NOT NULL, total INTEGER NOT NULL, payable INTEGER, height INTEGER NOT NULL,
	votes INTEGER NOT NULL, PRIMARY KEY (vertical, epoch)) WITHOUT ROWID;

CREATE TABLE funds (sender TEXT NOT NULL, recipient TEXT NOT NULL, ugrain INTEGER NOT NULL, ucredit INTEGER NOT NULL,
	PRIMARY KEY (recipient, sender)) WITHOUT ROWID;
`

// tables in the order that Dump writes them, each with its key.
var tables = []struct{ name, key string }{
	{"meta", "key"}, {"blocks", "height"}, {"proposers", "address"}, {"txs", "id"}, {"devices", "n"}, {"offers", "id"}, {"demands", "id"}, {"leases", "n"},
	{"lease_states", "id"}, {"lanes", "lease, device, lane"}, {"lease_epochs", "lease, epoch"}, {"receipts", "id"}, {"proofs", "sequence"},
	{"epochs", "number"}, {"rewards", "device, epoch"}, {"reports", "vertical, epoch"}, {"funds", "recipient, sender"},
}

// shape is how a table is written.
type shape struct {
	columns int
	upsert  string // what replaces a row of the same key
}

// shapes reads the columns of every table out of the schema.
func shapes() map[string]shape {
	out := map[string]shape{}
	for _, t := range tables {
		_, rest, _ := strings.Cut(schema, "CREATE TABLE "+t.name+" (")
		body, _, _ := strings.Cut(rest, ";")
		body, _, _ = strings.Cut(body, "PRIMARY KEY (") // of several columns: what follows names no more
		var set []string
		columns := 0
		for _, c := range strings.Split(body, ",") {
			name, _, _ := strings.Cut(strings.TrimSpace(c), " ")
			if name == "" || strings.HasPrefix(name, ")") {
				continue
			}
			columns++
			if !slices.Contains(strings.Split(t.key, ", "), name) {
				set = append(set, name+" = excluded."+name)
			}
		}
		out[t.name] = shape{columns, " ON CONFLICT (" + t.key + ") DO UPDATE SET " + strings.Join(set, ", ")}
	}
	return out
}
