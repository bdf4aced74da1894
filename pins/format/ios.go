package format

func ios() Format { return Format{Name: "ios"} }
