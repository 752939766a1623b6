package s3

import (
	"fmt"
	"os"

	"github.com/versity/versitygw/auth"
)

// oneAccount knows the door's one account. The front end's own service for that
// purpose answers an unknown access key with an error that S3 clients do not
// know.
type oneAccount struct {
	auth.IAMService
	account auth.Account
}

func newAccount(access, secret string) oneAccount {
	a := auth.Account{Access: access, Secret: secret, Role: auth.RoleAdmin}
	return oneAccount{IAMService: auth.NewIAMServiceSingle(a), account: a}
}

// openAccounts returns the accounts that the configuration asks for.
func openAccounts(cfg Config) (auth.IAMService, error) {
	one := newAccount(cfg.AccessKey, cfg.SecretKey)
	if cfg.Accounts == "" {
		return one, nil
	}
	if err := os.MkdirAll(cfg.Accounts, 0o700); err != nil {
		return nil, fmt.Errorf("create accounts directory: %w", err)
	}
	all, err := auth.NewInternal(one.account, cfg.Accounts)
	if err != nil {
		return nil, fmt.Errorf("open accounts: %w", err)
	}
	return all, nil
}

// GetUserAccount returns the account if access is its key.
func (o oneAccount) GetUserAccount(access string) (auth.Account, error) {
	if access != o.account.Access {
		return auth.Account{}, auth.ErrNoSuchUser
	}
	return o.account, nil
}
