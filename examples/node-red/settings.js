// Settings of a Node-RED that only nginx may reach. One file serves every instance; the environment says what
// differs:
//   PORT             where it listens, on 127.0.0.1 only; 1880 without it
//   BASE             the path that everything is under, such as /shop; without it, the root
//   ADMIN_HASH_FILE  the file with the hash of the editor's password; without it, admin.hash beside this file
const fs = require("fs");
const path = require("path");

const base = process.env.BASE || "/";

// Whoever opens the editor can run any program as the user of Node-RED: a flow may hold an exec node. A link can
// be forwarded and lies in the browser's history, so for the editor it is the first door and this password the
// second one. Without a hash Node-RED does not start.
function adminHash() {
    const file = process.env.ADMIN_HASH_FILE || path.join(__dirname, "admin.hash");
    const found = fs.readFileSync(file, "utf8").match(/\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}/);
    if (!found) {
        throw new Error(`${file} holds no hash: write it with "node-red admin hash-pw"`);
    }
    return found[0];
}

module.exports = {
    // On any other address Node-RED could be reached around nginx, and around its gate.
    uiHost: "127.0.0.1",
    uiPort: Number(process.env.PORT) || 1880,

    // The editor, and what flows serve: both dashboards are under httpNodeRoot.
    httpAdminRoot: base,
    httpNodeRoot: base,

    adminAuth: {
        type: "credentials",
        users: [{ username: "admin", password: adminHash(), permissions: "*" }],
    },

    flowFile: "flows.json",
    flowFilePretty: true,

    // Notifications and the tour of new features are fetched from the network, and stand in front of the editor.
    telemetry: { enabled: false, updateNotification: false },
    editorTheme: { tours: false },
};
