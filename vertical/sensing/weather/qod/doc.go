// Package qod is the data quality check of a weather station's day, version 1
// of the Quality of Data method that the WeatherXM network publishes: bounds,
// jumps, sensors that stand still and missing data, first on the samples, then
// on averages, and from them a score for each hour, variable and day.
//
// Check is a pure function of the station type, the day and the samples. The
// limits and the order of the steps are those of the published method
// (github.com/weatherxm-network/qod, report version 1.0.6); where its text and
// its program differ, the program counts, and params.go says so. Where the
// program fails or can be cheated, this package does not follow it: samples are
// put on the station's grid first, so that a gap, a row left out, a day that
// starts late or two rows for one moment lower the score.
//
// The package does not compare stations with each other and does not know
// where a station is.
package qod
