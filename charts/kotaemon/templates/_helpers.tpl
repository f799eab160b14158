{{- define "kotaemon.name" -}}
{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "kotaemon.selectorLabels" -}}
app.kubernetes.io/name: kotaemon
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kotaemon.labels" -}}
{{ include "kotaemon.selectorLabels" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "kotaemon.claim" -}}
{{ .Values.persistence.existingClaim | default (include "kotaemon.name" .) }}
{{- end }}
