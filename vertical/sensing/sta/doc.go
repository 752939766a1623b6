// Package sta serves stored observations by the OGC SensorThings API, version 1.1
// (18-088), for reading: over HTTP with $filter, $orderby, $top, $skip, $select,
// $expand, $count and data arrays, and over MQTT on the topics
// v1.1/Datastreams(ID)/Observations.
//
// A device is a Thing with one Location, one Sensor and one FeatureOfInterest of
// the same number; a variable of it is a Datastream. Entities are read from what
// the store knows, observations from its files. Observations are paid by the row,
// the rest costs nothing. Devices that move are not there: see package query.
//
// Nothing can be written, and there is no history of locations.
package sta
