// Asks the page at the given address for everything the client `statuspage.io` can read, and prints it as JSON.
const { Statuspage } = require("statuspage.io");

async function read(address) {
  const client = new Statuspage("unused");
  client.setApiUrl(address);
  const { api } = client;
  return {
    summary: await api.getSummary(),
    status: await api.getStatus(),
    components: await api.getComponents(),
    incidents: await api.incidents.getAll(),
    unresolved: await api.incidents.getUnresolved(),
    upcoming: await api.scheduledMaintenances.getUpcoming(),
    // It asks to be subscribed by a GET with parameters. Nothing that writes may answer to that.
    subscribing: await api.subscribers
      .createPageSubscription({ email: "reader@elsewhere.example" })
      .catch((error) => error.response.status),
  };
}

read(process.argv[2]).then(
  (found) => process.stdout.write(JSON.stringify(found)),
  (error) => {
    console.error(error.message);
    process.exitCode = 1;
  },
);
