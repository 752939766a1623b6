// Package weather is the kind of weather stations: how good a day's series is by
// itself, whether its neighbours agree, whether the station stands outdoors, and
// whether several devices sign one series.
//
// The quality of stations that sample at least every ten minutes is the published
// method's, package qod; stations that report by the hour are judged by the limits
// of meteorological services. Package spatial has the comparison with neighbours.
package weather
