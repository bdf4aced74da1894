package format

func tlsa() Format { return Format{Name: "tlsa"} }
