require("./no-such-file.js")
