package server

import (
	"context"
	"log/slog"

	sdklog "cosmossdk.io/log/v2"
	sdkslog "cosmossdk.io/log/v2/slog"
	cmtlog "github.com/cometbft/cometbft/libs/log"
	servercmtlog "github.com/cosmos/cosmos-sdk/server/log"
)

// leveled drops records below a level before the next handler sees them.
type leveled struct {
	slog.Handler
	level slog.Level
}

func (h leveled) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (h leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return leveled{h.Handler.WithAttrs(attrs), h.level}
}

func (h leveled) WithGroup(name string) slog.Handler {
	return leveled{h.Handler.WithGroup(name), h.level}
}

// loggers adapts the node's logger to the SDK and to CometBFT.
func (c Config) loggers() (sdklog.Logger, cmtlog.Logger) {
	level := slog.LevelWarn
	if c.LogLevel != nil {
		level = *c.LogLevel
	}
	logger := sdkslog.NewCustomLogger(slog.New(leveled{c.Logger.Handler(), level}))
	return logger, servercmtlog.CometLoggerWrapper{Logger: logger}
}
