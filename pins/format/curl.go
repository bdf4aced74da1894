package format

func curl() Format { return Format{Name: "curl"} }
