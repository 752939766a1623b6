package client

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	cmtjson "github.com/cometbft/cometbft/libs/json"
	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/gorilla/websocket"
)

const (
	// The node pings every 27 s; after silence of twice that it is gone.
	readTimeout  = 60 * time.Second
	writeTimeout = 10 * time.Second
	// maxEvent bounds one event: a block of 4 MiB in base64 with its results.
	maxEvent = 64 << 20
)

// subscription reads new blocks from CometBFT's websocket.
type subscription struct {
	conn *websocket.Conn
	stop func() bool
}

func subscribe(ctx context.Context, remote string) (*subscription, error) {
	u, err := url.Parse(remote)
	if err != nil {
		return nil, fmt.Errorf("read RPC address %q: %w", remote, err)
	}
	scheme := "ws"
	if u.Scheme == "https" || u.Scheme == "wss" {
		scheme = "wss"
	}
	target := scheme + "://" + u.Host + strings.TrimSuffix(u.Path, "/") + "/websocket"
	conn, resp, err := websocket.DefaultDialer.DialContext(ctx, target, nil)
	if resp != nil && resp.Body != nil {
		resp.Body.Close()
	}
	if err != nil {
		return nil, rpcError("open block stream "+target, err)
	}
	conn.SetReadLimit(maxEvent)
	s := &subscription{conn: conn}
	s.stop = context.AfterFunc(ctx, s.hangUp)
	if err := s.request(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *subscription) request() error {
	ping := s.conn.PingHandler()
	s.conn.SetPingHandler(func(data string) error {
		if err := s.conn.SetReadDeadline(time.Now().Add(readTimeout)); err != nil {
			return err
		}
		return ping(data)
	})
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	err := s.conn.WriteJSON(map[string]any{
		"jsonrpc": "2.0",
		"id":      1,
		"method":  "subscribe",
		"params":  map[string]string{"query": cmttypes.QueryForEvent(cmttypes.EventNewBlock).String()},
	})
	if err != nil {
		return rpcError("subscribe to blocks", err)
	}
	// The answer to the request comes first and is empty.
	_, err = s.read()
	return err
}

func (s *subscription) close() {
	s.stop()
	s.hangUp()
}

// hangUp says goodbye, so that the node does not take it for a failure.
func (s *subscription) hangUp() {
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = s.conn.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second)) // best effort
	s.conn.Close()
}

// read returns the result of the next message.
func (s *subscription) read() (json.RawMessage, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(readTimeout)); err != nil {
		return nil, err
	}
	_, raw, err := s.conn.ReadMessage()
	if err != nil {
		return nil, rpcError("read block stream", err)
	}
	var message struct {
		Result json.RawMessage `json:"result"`
		Error  *struct {
			Message string `json:"message"`
			Data    string `json:"data"`
		} `json:"error"`
	}
	if err := json.Unmarshal(raw, &message); err != nil {
		return nil, fmt.Errorf("decode block stream: %w", err)
	}
	if message.Error != nil {
		return nil, fmt.Errorf("block stream ended by node: %s %s", message.Error.Message, message.Error.Data)
	}
	return message.Result, nil
}

// next returns the next new block.
func (s *subscription) next() (Block, error) {
	raw, err := s.read()
	if err != nil {
		return Block{}, err
	}
	var event ctypes.ResultEvent
	if err := cmtjson.Unmarshal(raw, &event); err != nil {
		return Block{}, fmt.Errorf("decode block event: %w", err)
	}
	data, ok := event.Data.(cmttypes.EventDataNewBlock)
	if !ok {
		return Block{}, fmt.Errorf("decode block event: unexpected %T", event.Data)
	}
	return newBlock(data.Block, data.ResultFinalizeBlock.TxResults, data.ResultFinalizeBlock.Events)
}

// lookUp asks the node for a transaction by hash; ok is false if it is not in
// any block.
func (h *hub) lookUp(ctx context.Context, hash string) (in inclusion, ok bool, err error) {
	raw, err := hex.DecodeString(hash)
	if err != nil {
		return in, false, err
	}
	r, err := h.rpc.Tx(ctx, raw, false)
	if err != nil {
		if strings.Contains(err.Error(), "not found") {
			return in, false, nil
		}
		return in, false, rpcError("look up transaction "+hash, err)
	}
	if r.TxResult.Size() == 0 && r.Height == 0 {
		return in, false, errors.New("look up transaction " + hash + ": empty answer")
	}
	return inclusion{r.Height, Tx{
		Hash:      hash,
		Code:      r.TxResult.Code,
		Codespace: r.TxResult.Codespace,
		Log:       r.TxResult.Log,
		GasWanted: r.TxResult.GasWanted,
		GasUsed:   r.TxResult.GasUsed,
		Events:    convertEvents(r.TxResult.Events),
		Data:      r.TxResult.Data,
	}}, true, nil
}
