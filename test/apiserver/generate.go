package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	authnv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
)

// generator makes numbered requests of several namespaces and users. A request has RequestReceived and
// ResponseComplete, a watch ResponseStarted in between; all stages carry its auditID, which begins with its number.
type generator struct {
	seed       uint64
	namespaces int
	users      int
	bodyBytes  int
	number     int
}

var (
	verbs     = []string{"get", "get", "list", "watch", "create", "update", "patch", "delete"}
	resources = []string{"pods", "configmaps", "secrets", "leases", "events"}
	// Names that are valid for Kubernetes and hard on what writes, quotes or files them.
	hostile = []string{`oidc:<b>Tom & "Jerry"</b>\dom=x`, "../../etc/passwd", "日本 太郎", "a\u2028b\nc", "system:node:a/b"}
)

func (g *generator) next() ([]*auditinternal.Event, error) {
	g.number++
	random := rand.New(rand.NewPCG(g.seed, uint64(g.number)))
	verb := verbs[random.IntN(len(verbs))]
	resource := resources[random.IntN(len(resources))]
	namespace := random.IntN(g.namespaces)
	user := random.IntN(g.users)
	received := metav1.NowMicro()
	event := auditinternal.Event{
		Level:                    auditinternal.LevelMetadata,
		AuditID:                  types.UID(fmt.Sprintf("%08d-0000-4000-8000-%012x", g.number, g.seed&0xffffffffffff)),
		Stage:                    auditinternal.StageRequestReceived,
		Verb:                     verb,
		User:                     authnv1.UserInfo{Username: g.userName(user), UID: fmt.Sprint(1000 + user), Groups: []string{"system:authenticated"}},
		SourceIPs:                []string{fmt.Sprintf("10.0.%d.%d", namespace%256, user%256)},
		UserAgent:                "kubectl/v1.36.3 (linux/amd64) kubernetes/0fe831c",
		RequestReceivedTimestamp: received,
		StageTimestamp:           received,
	}
	if g.bodyBytes > 0 {
		event.Level = auditinternal.LevelRequest
	}
	if random.IntN(9) == 0 { // One request in nine is of no namespace.
		event.RequestURI, event.Verb = "/readyz?verbose&exclude=etcd", "get"
	} else {
		name := fmt.Sprintf("%s-%d", resource, g.number)
		event.ObjectRef = &auditinternal.ObjectReference{
			Resource: resource, Namespace: fmt.Sprintf("team-%d", namespace), Name: name, APIVersion: "v1",
		}
		event.RequestURI = fmt.Sprintf("/api/v1/namespaces/team-%d/%s/%s", namespace, resource, name)
	}
	return g.stages(event, random), nil
}

func (g *generator) userName(user int) string {
	if user%5 == 4 {
		return hostile[user/5%len(hostile)]
	}
	return fmt.Sprintf("system:serviceaccount:team-%d:worker-%d", user%g.namespaces, user)
}

func (g *generator) stages(received auditinternal.Event, random *rand.Rand) []*auditinternal.Event {
	stages := []*auditinternal.Event{&received}
	add := func(stage auditinternal.Stage) *auditinternal.Event {
		event := received
		event.Stage = stage
		event.StageTimestamp = metav1.NewMicroTime(received.StageTimestamp.Add(time.Duration(1+random.IntN(20_000)) * time.Microsecond))
		event.ResponseStatus = &metav1.Status{Code: 200}
		event.Annotations = map[string]string{
			"authorization.k8s.io/decision": "allow",
			"authorization.k8s.io/reason":   `RBAC: allowed by ClusterRoleBinding "workers" of ClusterRole "edit" to Group "system:authenticated"`,
		}
		stages = append(stages, &event)
		return &event
	}
	if received.Verb == "watch" {
		add(auditinternal.StageResponseStarted)
	}
	complete := add(auditinternal.StageResponseComplete)
	isWrite := received.Verb == "create" || received.Verb == "update" || received.Verb == "patch"
	if g.bodyBytes > 0 && isWrite {
		complete.RequestObject = g.body(random)
	}
	return stages
}

// body is mostly small and seldom nearly as large as allowed, as genuine ones are. It has what the encoder escapes.
func (g *generator) body(random *rand.Rand) *runtime.Unknown {
	share := random.Float64()
	const piece = `<script>a && b</script> é日本 \" \\ `
	const frame = `{"kind":"ConfigMap","apiVersion":"v1","data":{"text":""}}`
	pieces := max(0, int(float64(g.bodyBytes)*share*share*share)-len(frame)) / len(piece)
	text := strings.Replace(frame, `""`, `"`+strings.Repeat(piece, pieces)+`"`, 1)
	return &runtime.Unknown{Raw: []byte(text), ContentType: runtime.ContentTypeJSON}
}
