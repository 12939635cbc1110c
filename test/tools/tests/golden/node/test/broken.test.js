import { missing } from "../no-such-file.js"

missing()
