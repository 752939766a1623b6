package gateway

// Crash ends the engine as the death of its process would: from one moment on
// nothing more is written. Its goroutines are waited for, for the leak check.
func (e *Engine) Crash() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.store.db.Close()
	e.cancel()
	e.ops.Wait()
	e.wg.Wait()
	e.book.close()
}
