package broken

func Name() string {
	return missing
}
