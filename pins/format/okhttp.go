package format

func okhttp() Format { return Format{Name: "okhttp"} }
