package server

import (
	"context"
	"log/slog"
	"sync/atomic"

	sdklog "cosmossdk.io/log/v2"
	sdkslog "cosmossdk.io/log/v2/slog"
	cmtlog "github.com/cometbft/cometbft/libs/log"
	servercmtlog "github.com/cosmos/cosmos-sdk/server/log"
)

// leveled drops records below a level before the next handler sees them, and
// everything while the node stops: CometBFT reports each socket we close as an
// error.
type leveled struct {
	slog.Handler
	level    slog.Level
	stopping *atomic.Bool
}

func (h leveled) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && !h.stopping.Load() && h.Handler.Enabled(ctx, l)
}

func (h leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return leveled{h.Handler.WithAttrs(attrs), h.level, h.stopping}
}

func (h leveled) WithGroup(name string) slog.Handler {
	return leveled{h.Handler.WithGroup(name), h.level, h.stopping}
}

// loggers adapts the node's logger to the SDK and to CometBFT.
func (n *Node) loggers() (sdklog.Logger, cmtlog.Logger) {
	level := slog.LevelWarn
	if n.cfg.LogLevel != nil {
		level = *n.cfg.LogLevel
	}
	logger := sdkslog.NewCustomLogger(slog.New(leveled{n.cfg.Logger.Handler(), level, &n.stopping}))
	return logger, servercmtlog.CometLoggerWrapper{Logger: logger}
}
