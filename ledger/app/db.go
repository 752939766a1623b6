package app

import (
	"fmt"

	dbm "github.com/cosmos/cosmos-db"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"
)

// The database's write buffer holds several full blocks, so that tables are
// large when they are first sorted into others; its default, 4 MiB, is one block.
const (
	writeBuffer = 32 << 20
	tableSize   = 8 << 20
	blockCache  = 32 << 20
)

// OpenDB opens the state's database under dir.
func OpenDB(dir string) (dbm.DB, error) {
	db, err := dbm.NewGoLevelDBWithOpts("application", dir, &opt.Options{
		Filter:              filter.NewBloomFilter(10),
		WriteBuffer:         writeBuffer,
		CompactionTableSize: tableSize,
		BlockCacheCapacity:  blockCache,
	})
	if err != nil {
		return nil, fmt.Errorf("open state in %s (is another node running there?): %w", dir, err)
	}
	return db, nil
}
