package pipelines

import "strings"

const nameHint = "Use lower-case letters, digits and single underscores, at most 40, and a letter first."

// isName tells whether a name is an SQL identifier that needs no quotes and leaves room for what is made
// of it, such as the tables of a metric.
func isName(name string) bool {
	for i, r := range name {
		if (r < 'a' || r > 'z') && (i == 0 || r != '_' && (r < '0' || r > '9')) {
			return false
		}
	}
	return name != "" && len(name) <= 40 && !strings.Contains(name, "__") && !isOneOf(name, []string{"rejects", "main", "public", "pg_catalog", "information_schema"})
}

// names are those that are taken, of each sort, and by what.
type names map[string]string

// add notes a fault if the name is taken, which is told apart without regard to case.
func (n names) add(e entry, sort, name string) bool {
	key := sort + " " + strings.ToLower(name)
	if by, ok := n[key]; ok {
		e.fault(e.what+": the "+sort+" "+quote(name)+" is taken by "+by, "Name one of them otherwise.")
		return false
	}
	n[key] = e.what
	return true
}

// ownRoutes are Pinflow's own paths.
const ownRoutes = "/ /api /topics /docs /openapi.json /healthz /readyz /metrics /assets"

func checkRoute(e entry, route string, taken names) {
	const hint = "Write a path such as /pin/: letters, digits, - and _ between slashes."
	for _, r := range route {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/-_.", r) {
			e.fault("the route "+quote(route)+" is no path", hint)
			return
		}
	}
	parts := strings.Split(strings.Trim(route, "/"), "/")
	switch {
	case !strings.HasPrefix(route, "/") || strings.Contains(route, "//") || isOneOf("..", parts) || isOneOf(".", parts):
		e.fault("the route "+quote(route)+" is no path", hint)
	case isOneOf("/"+parts[0], strings.Fields(ownRoutes)):
		e.fault("the route "+quote(route)+" is Pinflow's own", "Choose another first part than "+strings.Join(strings.Fields(ownRoutes)[1:], ", ")+".")
	default:
		taken.add(e, "route", strings.TrimSuffix(route, "/"))
	}
}

// checkTopic holds a topic to the names that Kafka takes.
func checkTopic(e entry, topic string, taken names) {
	ok := topic != "" && len(topic) <= 249 && topic != "." && topic != ".." && !strings.HasPrefix(topic, "__")
	for _, r := range topic {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r))
	}
	if !ok {
		e.fault("Kafka takes no topic named "+quote(topic), "Use letters, digits, ., _ and -, at most 249, and no two underscores first.")
		return
	}
	// Kafka's metrics do not tell a point from an underscore.
	taken.add(e, "topic", strings.ReplaceAll(topic, ".", "_"))
}
