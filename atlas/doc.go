// Package atlas is the map of the field as data: 45 networks, chains and tools,
// the market tables, and every number as a claim with its date, source and kind.
// Claims that contradict each other stand side by side; Disagreements finds
// them and Checks does the arithmetic that shows where a source does not add up.
//
// It gives no advice (see advise and place), forecasts nothing (see project)
// and fetches nothing (see source). It knows nothing of the ledger.
package atlas
