package format

func trustkit() Format { return Format{Name: "trustkit"} }
