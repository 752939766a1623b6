package s3_test

const crashHome = "GRANGE_S3_CRASH_HOME"

func serveUntilKilled(home string) {}
