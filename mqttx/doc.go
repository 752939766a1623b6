// Package mqttx is the MQTT broker that verticals share: MQTT 3.1.1 and 5 on
// github.com/mochi-mqtt/server, with one place to say who may connect, what each
// may publish and subscribe, and what must happen to a message before its sender
// gets the acknowledgement.
//
// A client may have many publishes under way: the handler gets all that wait, those
// of one client in order, and can make what is dear, as a sync of a disk, once for
// them. Acknowledgements keep the order too.
//
// A message whose handler fails is not acknowledged as stored: version 5 clients
// get the reason code, older ones are disconnected so that they send it again,
// or, when it can never be accepted, get an acknowledgement and the reason on
// their error topic. Retained messages and sessions live in memory only; what
// must survive is the handler's to store.
package mqttx
