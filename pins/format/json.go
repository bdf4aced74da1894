package format

func ours() Format { return Format{Name: "json"} }
