import { nothing } from "./no-such-file.ts"

nothing()
