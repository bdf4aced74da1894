package format

func approov() Format { return Format{Name: "approov"} }
