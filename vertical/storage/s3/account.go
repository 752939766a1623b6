package s3

import "github.com/versity/versitygw/auth"

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

// GetUserAccount returns the account if access is its key.
func (o oneAccount) GetUserAccount(access string) (auth.Account, error) {
	if access != o.account.Access {
		return auth.Account{}, auth.ErrNoSuchUser
	}
	return o.account, nil
}
