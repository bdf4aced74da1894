package format

func android() Format { return Format{Name: "android"} }
