{{- define "llm-server.name" -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "llm-server.labels" -}}
app.kubernetes.io/name: llm-server
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* The servers that are wanted, as JSON: name of the InferenceService, kind and values of each. */}}
{{- define "llm-server.servers" -}}
{{- $name := include "llm-server.name" . }}
{{- $servers := list (dict "name" $name "kind" "chat" "values" .Values.chat) }}
{{- range $kind := list "embedding" "reranker" }}
{{- $values := index $.Values $kind }}
{{- if $values.enabled }}
{{- $servers = append $servers (dict "name" (printf "%s-%s" $name $kind) "kind" $kind "values" $values) }}
{{- end }}
{{- end }}
{{- toJson $servers }}
{{- end }}

{{- define "llm-server.image" -}}
{{ .server.values.image.repository }}:{{ .server.values.image.tag | default .root.Chart.AppVersion }}
{{- end }}
