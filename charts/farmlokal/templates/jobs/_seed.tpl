{{/* The seed Job's spec, of the CronJob and of the one at install. Killed at any point, it goes on where it was. */}}
{{- define "farmlokal.seedJob" -}}
backoffLimit: {{ .Values.seed.backoffLimit }}
ttlSecondsAfterFinished: {{ int64 .Values.seed.ttlSecondsAfterFinished }}
template:
  metadata:
    {{- include "farmlokal.podLabels" (list . "seed") | nindent 4 }}
    {{- with .Values.pods.annotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    serviceAccountName: {{ include "farmlokal.fullname" . }}-api
    automountServiceAccountToken: false
    restartPolicy: Never
    {{- include "farmlokal.pod" . | nindent 4 }}
    containers:
      - name: seed
        {{- include "farmlokal.container" (list . "seed") | nindent 8 }}
        env:
          - name: SEED_ROWS
            value: {{ int64 .Values.seed.rows | quote }}
          - name: SEED
            value: {{ int64 .Values.seed.seed | quote }}
          - name: SEED_REPLACE
            value: {{ .Values.seed.replace | quote }}
          - name: MANAGEMENT_PORT
            value: "9090"
          {{- include "farmlokal.databaseEnv" (list . (include "farmlokal.fullname" .)) | nindent 10 }}
          {{- include "farmlokal.redisEnv" . | nindent 10 }}
          {{- with .Values.seed.extraEnv }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
        ports:
          - name: management
            containerPort: 9090
        resources:
          {{- toYaml .Values.seed.resources | nindent 10 }}
{{- end -}}
