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

// demoted turns every record into a debug one.
type demoted struct{ slog.Handler }

func (h demoted) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.Handler.Enabled(ctx, slog.LevelDebug)
}

func (h demoted) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return h.Handler.Handle(ctx, r)
}

func (h demoted) WithAttrs(attrs []slog.Attr) slog.Handler {
	return demoted{h.Handler.WithAttrs(attrs)}
}

func (h demoted) WithGroup(name string) slog.Handler { return demoted{h.Handler.WithGroup(name)} }

// quiet is for websockets, where CometBFT calls every client that hangs up an
// error.
func (n *Node) quiet() cmtlog.Logger {
	return servercmtlog.CometLoggerWrapper{Logger: sdkslog.NewCustomLogger(slog.New(demoted{n.handler()}))}
}

// loggers adapts the node's logger to the SDK and to CometBFT.
func (n *Node) loggers() (sdklog.Logger, cmtlog.Logger) {
	logger := sdkslog.NewCustomLogger(slog.New(n.handler()))
	return logger, servercmtlog.CometLoggerWrapper{Logger: logger}
}

func (n *Node) handler() slog.Handler {
	level := slog.LevelWarn
	if n.cfg.LogLevel != nil {
		level = *n.cfg.LogLevel
	}
	return leveled{n.cfg.Logger.Handler(), level, &n.stopping}
}
