/** The settings of what sandboxes reach outside; a part of `Settings.ts`. */
import { list, network, optional } from "./Setting.ts"

export const networkSettings = {
  networkPolicy: network(
    "NETWORK_POLICY",
    [],
    "what a session may reach outside unless its caller or template says otherwise: `none`, or `registries` (those of pip, npm, cargo, go and apt) and hosts, separated by commas: `example.com`, `*.example.com`, `*`, each with `:PORT` where not 80 or 443",
  ),
  networkMax: network(
    "NETWORK_MAX",
    ["registries"],
    "the most that a caller may ask for, in the words of NETWORK_POLICY",
  ),
  tunnelAllowCidrs: list(
    "TUNNEL_ALLOW_CIDRS",
    "subnets that sessions may reach by an allowed name although they are private, reserved or this machine's, such as `10.1.0.0/16`",
  ),
  extraCertificates: optional(
    "NODE_EXTRA_CA_CERTS",
    "file with more certificate authorities, in PEM: sandboxes whose image names none trust them too",
  ),
  certificates: optional("SSL_CERT_FILE", "as NODE_EXTRA_CA_CERTS"),
}
