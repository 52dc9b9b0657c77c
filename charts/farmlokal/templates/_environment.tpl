{{/*
A list that Kubernetes merges by a key: the chart's entries, but for those that a value has too, then the value's. Takes (list key
the-chart's-entries-as-YAML value); empty where there is none.
*/}}
{{- define "farmlokal.merged" -}}
{{- $key := index . 0 -}}
{{- $values := default list (index . 2) -}}
{{- $replaced := list -}}
{{- range $values -}}
{{- $replaced = append $replaced (get . $key) -}}
{{- end -}}
{{- $merged := list -}}
{{- range index . 1 | fromYamlArray -}}
{{- if not (has (get . $key) $replaced) -}}
{{- $merged = append $merged . -}}
{{- end -}}
{{- end -}}
{{- with concat $merged $values -}}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/* Who this pod is. */}}
{{- define "farmlokal.podEnv" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- end -}}

{{/* Where spans go; needs farmlokal.podEnv before it. */}}
{{- define "farmlokal.traceEnv" -}}
{{- with .Values.traces -}}
{{- if .endpoint -}}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ .endpoint | quote }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: {{ .protocol | quote }}
- name: OTEL_TRACES_SAMPLER
  value: parentbased_traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ .ratio | quote }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME)
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The sandbox, as the API reaches it. */}}
{{- define "farmlokal.sandbox" -}}
http://{{ include "farmlokal.fullname" . }}-sandbox:5100
{{- end -}}

{{/* Partners: the real ones, or the sandbox. A URL is set or empty; secrets are "" where they come from an existing Secret. */}}
{{- define "farmlokal.partners" -}}
{{- $partners := .Values.partners -}}
{{- if .Values.sandbox.enabled -}}
{{- if or $partners.existingSecret $partners.oauth.tokenUrl $partners.apiA.url $partners.apiB.url $partners.webhook.secrets -}}
{{- fail "sandbox.enabled: the sandbox stands in for the partners, and partners.* are set too. Choose one" -}}
{{- end -}}
{{- $sandbox := include "farmlokal.sandbox" . -}}
tokenUrl: {{ $sandbox }}/oauth/token
clientId: farmlokal
clientSecret: sandbox-secret
audience: https://api-a.farmlokal.example
apiAUrl: {{ $sandbox }}/api-a/status
apiBUrl: {{ $sandbox }}/api-b
callbackUrl: http://{{ include "farmlokal.fullname" . }}-api/webhook
webhookSecrets: whsec_ZmFybWxva2FsLXNhbmRib3gtc2lnbmluZy1rZXktMSE=
{{- else -}}
{{- with $partners -}}
{{- if and .apiA.url (not .oauth.tokenUrl) -}}
{{- fail "partners.apiA.url is set and partners.oauth.tokenUrl is not: API A is called with a token" -}}
{{- end -}}
{{- if and .oauth.tokenUrl (not .oauth.clientId) -}}
{{- fail "partners.oauth.tokenUrl needs partners.oauth.clientId" -}}
{{- end -}}
{{- if and .oauth.tokenUrl (not .existingSecret) (not .oauth.clientSecret) -}}
{{- fail "partners.oauth.tokenUrl needs a client secret: partners.existingSecret, or partners.oauth.clientSecret" -}}
{{- end -}}
{{- if ne (empty .apiB.url) (empty .webhook.callbackUrl) -}}
{{- fail "partners.apiB.url and partners.webhook.callbackUrl go together: the callback is registered at API B" -}}
{{- end -}}
tokenUrl: {{ .oauth.tokenUrl | quote }}
clientId: {{ .oauth.clientId | quote }}
clientSecret: {{ ternary "" .oauth.clientSecret (not (empty .existingSecret)) | quote }}
audience: {{ .oauth.audience | quote }}
scope: {{ .oauth.scope | quote }}
clientAuth: {{ .oauth.clientAuth | quote }}
apiAUrl: {{ .apiA.url | quote }}
apiBUrl: {{ .apiB.url | quote }}
callbackUrl: {{ .webhook.callbackUrl | quote }}
webhookSecrets: {{ ternary "" (join "," .webhook.secrets) (not (empty .existingSecret)) | quote }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Whose tokens may write: the issuer that values name, or the sandbox. */}}
{{- define "farmlokal.auth" -}}
{{- with .Values.auth -}}
{{- if and .issuer (not .audience) -}}
{{- fail "auth.issuer needs auth.audience: the name that the issuer knows this API by" -}}
{{- end -}}
{{- if not (or .issuer $.Values.sandbox.enabled) -}}
{{- range $name, $value := . -}}
{{- if $value -}}
{{- fail (printf "auth.%s needs auth.issuer" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
issuer: {{ default (ternary (include "farmlokal.sandbox" $) "" (or $.Values.sandbox.enabled false)) .issuer | quote }}
audience: {{ default (ternary "https://api.farmlokal.example" "" (or $.Values.sandbox.enabled false)) .audience | quote }}
jwksUrl: {{ .jwksUrl | quote }}
tokenUrl: {{ .tokenUrl | quote }}
scope: {{ .scope | quote }}
leeway: {{ .leeway | quote }}
{{- end -}}
{{- end -}}

{{/* The API's variables. Those that are no secrets and need no pod are in its ConfigMap. */}}
{{- define "farmlokal.apiEnv" -}}
{{- $partners := include "farmlokal.partners" . | fromYaml -}}
{{- include "farmlokal.databaseEnv" (list . (include "farmlokal.fullname" .) dict) }}
{{- with include "farmlokal.replicaEnv" . }}
{{ . }}
{{- end }}
{{- with include "farmlokal.searchEnv" . }}
{{ . }}
{{- end }}
{{ include "farmlokal.redisEnv" . }}
{{- with .Values.partners }}
{{- if $partners.tokenUrl }}
- name: OAUTH_CLIENT_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ default (include "farmlokal.fullname" $) .existingSecret | quote }}
      key: {{ ternary .clientSecretKey "OAUTH_CLIENT_SECRET" (not (empty .existingSecret)) }}
{{- end }}
{{- if or $partners.webhookSecrets (and .existingSecret .webhookSecretsKey) }}
- name: WEBHOOK_SECRETS
  valueFrom:
    secretKeyRef:
      name: {{ default (include "farmlokal.fullname" $) .existingSecret | quote }}
      key: {{ ternary .webhookSecretsKey "WEBHOOK_SECRETS" (not (empty .existingSecret)) }}
{{- end }}
{{- end }}
{{ include "farmlokal.podEnv" . }}
{{ include "farmlokal.traceEnv" . }}
{{- end -}}

{{/* The API's volumes. */}}
{{- define "farmlokal.apiVolumes" -}}
{{- include "farmlokal.tlsVolumes" (list . "database" "redis") }}
{{- if .Values.api.search.synonyms }}
- name: search
  configMap:
    name: {{ include "farmlokal.fullname" . }}-search
{{- end }}
{{- end -}}

{{/* Where they are mounted. */}}
{{- define "farmlokal.apiMounts" -}}
{{- include "farmlokal.tlsMounts" (list . "database" "redis") }}
{{- if .Values.api.search.synonyms }}
- name: search
  mountPath: /etc/farmlokal/search
  readOnly: true
{{- end }}
{{- end -}}

{{/* The controller's variables. */}}
{{- define "farmlokal.controllerEnv" -}}
- name: HOST
  value: {{ .Values.listen | quote }}
- name: MANAGEMENT_PORT
  value: "9090"
- name: RELEASE
  value: {{ include "farmlokal.fullname" . | quote }}
- name: LEASE_NAME
  value: {{ include "farmlokal.fullname" . }}-controller
- name: LEASE_DURATION
  value: {{ .Values.controller.lease.duration | quote }}
- name: LEASE_RETRY_PERIOD
  value: {{ .Values.controller.lease.retryPeriod | quote }}
{{ include "farmlokal.redisEnv" . }}
{{ include "farmlokal.podEnv" . }}
{{ include "farmlokal.traceEnv" . }}
{{- end -}}

{{/* The seed Job's variables. Takes (list $ whether-only-an-empty-catalogue-is-seeded). */}}
{{- define "farmlokal.seedEnv" -}}
{{- $whenEmpty := index . 1 -}}
{{- with index . 0 -}}
- name: SEED_ROWS
  value: {{ int64 .Values.seed.rows | quote }}
- name: SEED
  value: {{ int64 .Values.seed.seed | quote }}
{{- if $whenEmpty }}
- name: SEED_WHEN_EMPTY
  value: "true"
{{- else }}
- name: SEED_REPLACE
  value: {{ .Values.seed.replace | quote }}
{{- end }}
- name: HOST
  value: {{ .Values.listen | quote }}
- name: MANAGEMENT_PORT
  value: "9090"
{{ include "farmlokal.databaseEnv" (list . (include "farmlokal.fullname" .) dict) }}
{{ include "farmlokal.redisEnv" . }}
{{- end -}}
{{- end -}}
